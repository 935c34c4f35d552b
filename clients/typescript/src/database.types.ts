export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[]

export type Database = {
  public: {
    Tables: {
      conversation_events: {
        Row: {
          audio_duration_ms: number | null
          confidence_score: number | null
          created_at: string
          event_type: string
          gym_id: string
          id: string
          member_id: string | null
          provider_event_id: string | null
          received_at: string
          session_id: string
          timestamp: string
          tool_args: Json | null
          tool_name: string | null
          tool_result: Json | null
          transcript: string | null
          turn_number: number | null
        }
        ComputedFields: never
        Insert: {
          audio_duration_ms?: number | null
          confidence_score?: number | null
          created_at?: string
          event_type: string
          gym_id?: string
          id?: string
          member_id?: string | null
          provider_event_id?: string | null
          received_at?: string
          session_id: string
          timestamp?: string
          tool_args?: Json | null
          tool_name?: string | null
          tool_result?: Json | null
          transcript?: string | null
          turn_number?: number | null
        }
        Update: {
          audio_duration_ms?: number | null
          confidence_score?: number | null
          created_at?: string
          event_type?: string
          gym_id?: string
          id?: string
          member_id?: string | null
          provider_event_id?: string | null
          received_at?: string
          session_id?: string
          timestamp?: string
          tool_args?: Json | null
          tool_name?: string | null
          tool_result?: Json | null
          transcript?: string | null
          turn_number?: number | null
        }
        Relationships: [
          {
            foreignKeyName: "conversation_events_gym_id_member_id_fkey"
            columns: ["gym_id","member_id"]
            isOneToOne: false
            referencedRelation: "gym_members_v2"
            referencedColumns: ["gym_id","id"]
          },
          {
            foreignKeyName: "conversation_events_gym_id_session_id_fkey"
            columns: ["gym_id","session_id"]
            isOneToOne: false
            referencedRelation: "conversation_sessions"
            referencedColumns: ["gym_id","session_id"]
          },
        ]
      }
      conversation_sessions: {
        Row: {
          attempts: number
          channel: string
          cost_total: number
          created_at: string
          degraded_reason: string | null
          disclosure_version: string | null
          end_reason: string | null
          ended_at: string | null
          extractor: string | null
          facts_rejected: number
          gym_id: string
          kiosk_id: string | null
          language: string
          last_error: string | null
          last_event_at: string | null
          member_id: string
          notes: (string)[]
          processed_at: string | null
          session_id: string
          started_at: string
          state: string
          state_reason: string | null
          updated_at: string
          usage: NonNullable<Json>
          withheld_health_spans: number
        }
        ComputedFields: never
        Insert: {
          attempts?: number
          channel?: string
          cost_total?: number
          created_at?: string
          degraded_reason?: string | null
          disclosure_version?: string | null
          end_reason?: string | null
          ended_at?: string | null
          extractor?: string | null
          facts_rejected?: number
          gym_id?: string
          kiosk_id?: string | null
          language?: string
          last_error?: string | null
          last_event_at?: string | null
          member_id: string
          notes?: (string)[]
          processed_at?: string | null
          session_id: string
          started_at?: string
          state?: string
          state_reason?: string | null
          updated_at?: string
          usage?: NonNullable<Json>
          withheld_health_spans?: number
        }
        Update: {
          attempts?: number
          channel?: string
          cost_total?: number
          created_at?: string
          degraded_reason?: string | null
          disclosure_version?: string | null
          end_reason?: string | null
          ended_at?: string | null
          extractor?: string | null
          facts_rejected?: number
          gym_id?: string
          kiosk_id?: string | null
          language?: string
          last_error?: string | null
          last_event_at?: string | null
          member_id?: string
          notes?: (string)[]
          processed_at?: string | null
          session_id?: string
          started_at?: string
          state?: string
          state_reason?: string | null
          updated_at?: string
          usage?: NonNullable<Json>
          withheld_health_spans?: number
        }
        Relationships: [
          {
            foreignKeyName: "conversation_sessions_gym_id_kiosk_id_fkey"
            columns: ["gym_id","kiosk_id"]
            isOneToOne: false
            referencedRelation: "kiosks"
            referencedColumns: ["gym_id","id"]
          },
          {
            foreignKeyName: "conversation_sessions_gym_id_member_id_fkey"
            columns: ["gym_id","member_id"]
            isOneToOne: false
            referencedRelation: "gym_members_v2"
            referencedColumns: ["gym_id","id"]
          },
        ]
      }
      conversation_summaries: {
        Row: {
          created_at: string | null
          embedding: string | null
          embedding_model: string
          gym_id: string
          id: string
          key_topics: (string)[] | null
          language: string
          member_id: string
          search: unknown
          sentiment: string | null
          sentiment_score: number | null
          session_duration_seconds: number | null
          session_id: string
          summary_text: string
          tells_health: boolean
          turn_count: number | null
          written_by: string
        }
        ComputedFields: never
        Insert: {
          created_at?: string | null
          embedding?: string | null
          embedding_model?: string
          gym_id?: string
          id?: string
          key_topics?: (string)[] | null
          language?: string
          member_id: string
          search?: never
          sentiment?: string | null
          sentiment_score?: number | null
          session_duration_seconds?: number | null
          session_id: string
          summary_text: string
          tells_health?: boolean
          turn_count?: number | null
          written_by?: string
        }
        Update: {
          created_at?: string | null
          embedding?: string | null
          embedding_model?: string
          gym_id?: string
          id?: string
          key_topics?: (string)[] | null
          language?: string
          member_id?: string
          search?: never
          sentiment?: string | null
          sentiment_score?: number | null
          session_duration_seconds?: number | null
          session_id?: string
          summary_text?: string
          tells_health?: boolean
          turn_count?: number | null
          written_by?: string
        }
        Relationships: [
          {
            foreignKeyName: "conversation_summaries_gym_id_fkey"
            columns: ["gym_id"]
            isOneToOne: false
            referencedRelation: "gyms"
            referencedColumns: ["id"]
          },
          {
            foreignKeyName: "conversation_summaries_gym_id_member_id_fkey"
            columns: ["gym_id","member_id"]
            isOneToOne: false
            referencedRelation: "gym_members_v2"
            referencedColumns: ["gym_id","id"]
          },
        ]
      }
      gym_members_v2: {
        Row: {
          badge_id: string
          can_use_jarvis: boolean
          created_at: string | null
          date_of_birth: string | null
          email: string | null
          first_name: string
          gender: string | null
          gym_id: string
          id: string
          is_active: boolean | null
          last_name: string
          last_visit: string | null
          member_notes: string | null
          member_since: string
          membership_expires: string | null
          membership_type: string | null
          phone: string | null
          profile_photo_url: string | null
          total_visits: number
          updated_at: string | null
        }
        ComputedFields: never
        Insert: {
          badge_id: string
          can_use_jarvis?: boolean
          created_at?: string | null
          date_of_birth?: string | null
          email?: string | null
          first_name: string
          gender?: string | null
          gym_id?: string
          id?: string
          is_active?: boolean | null
          last_name: string
          last_visit?: string | null
          member_notes?: string | null
          member_since?: string
          membership_expires?: string | null
          membership_type?: string | null
          phone?: string | null
          profile_photo_url?: string | null
          total_visits?: number
          updated_at?: string | null
        }
        Update: {
          badge_id?: string
          can_use_jarvis?: boolean
          created_at?: string | null
          date_of_birth?: string | null
          email?: string | null
          first_name?: string
          gender?: string | null
          gym_id?: string
          id?: string
          is_active?: boolean | null
          last_name?: string
          last_visit?: string | null
          member_notes?: string | null
          member_since?: string
          membership_expires?: string | null
          membership_type?: string | null
          phone?: string | null
          profile_photo_url?: string | null
          total_visits?: number
          updated_at?: string | null
        }
        Relationships: [
          {
            foreignKeyName: "gym_members_v2_gym_id_fkey"
            columns: ["gym_id"]
            isOneToOne: false
            referencedRelation: "gyms"
            referencedColumns: ["id"]
          },
        ]
      }
      gyms: {
        Row: {
          created_at: string
          embedding_model: string
          external_models: boolean
          id: string
          locale: string
          name: string
          opening_hours: Json | null
          slug: string | null
          status: string
          timezone: string
          updated_at: string
        }
        ComputedFields: never
        Insert: {
          created_at?: string
          embedding_model?: string
          external_models?: boolean
          id?: string
          locale?: string
          name: string
          opening_hours?: Json | null
          slug?: string | null
          status?: string
          timezone?: string
          updated_at?: string
        }
        Update: {
          created_at?: string
          embedding_model?: string
          external_models?: boolean
          id?: string
          locale?: string
          name?: string
          opening_hours?: Json | null
          slug?: string | null
          status?: string
          timezone?: string
          updated_at?: string
        }
        Relationships: [
        ]
      }
      insights_reports: {
        Row: {
          generated_at: string
          gym_id: string
          id: string
          insights: NonNullable<Json>
          metrics: NonNullable<Json>
          period_end: string
          period_start: string
          recommendations: NonNullable<Json>
          report_type: string
          summary: string | null
          title: string
        }
        ComputedFields: never
        Insert: {
          generated_at?: string
          gym_id?: string
          id?: string
          insights?: NonNullable<Json>
          metrics?: NonNullable<Json>
          period_end: string
          period_start: string
          recommendations?: NonNullable<Json>
          report_type: string
          summary?: string | null
          title: string
        }
        Update: {
          generated_at?: string
          gym_id?: string
          id?: string
          insights?: NonNullable<Json>
          metrics?: NonNullable<Json>
          period_end?: string
          period_start?: string
          recommendations?: NonNullable<Json>
          report_type?: string
          summary?: string | null
          title?: string
        }
        Relationships: [
          {
            foreignKeyName: "insights_reports_gym_id_fkey"
            columns: ["gym_id"]
            isOneToOne: false
            referencedRelation: "gyms"
            referencedColumns: ["id"]
          },
        ]
      }
      kiosks: {
        Row: {
          created_at: string
          gym_id: string
          id: string
          language: string
          last_seen_at: string | null
          name: string
          paired_at: string | null
          public_key: Json | null
          revoked_at: string | null
          slug: string
          status: string
          updated_at: string
        }
        ComputedFields: never
        Insert: {
          created_at?: string
          gym_id?: string
          id?: string
          language?: string
          last_seen_at?: string | null
          name: string
          paired_at?: string | null
          public_key?: Json | null
          revoked_at?: string | null
          slug: string
          status?: string
          updated_at?: string
        }
        Update: {
          created_at?: string
          gym_id?: string
          id?: string
          language?: string
          last_seen_at?: string | null
          name?: string
          paired_at?: string | null
          public_key?: Json | null
          revoked_at?: string | null
          slug?: string
          status?: string
          updated_at?: string
        }
        Relationships: [
          {
            foreignKeyName: "kiosks_gym_id_fkey"
            columns: ["gym_id"]
            isOneToOne: false
            referencedRelation: "gyms"
            referencedColumns: ["id"]
          },
        ]
      }
      manager_alerts: {
        Row: {
          alert_type: string
          assigned_to: string | null
          context: NonNullable<Json>
          created_at: string
          dedup_key: string | null
          description: string | null
          gym_id: string
          id: string
          member_id: string | null
          occurrences: number
          outcome: string | null
          priority: string
          recommended_actions: NonNullable<Json>
          resolution_notes: string | null
          resolved_at: string | null
          resolved_by: string | null
          snoozed_until: string | null
          status: string
          title: string
          updated_at: string
        }
        ComputedFields: never
        Insert: {
          alert_type: string
          assigned_to?: string | null
          context?: NonNullable<Json>
          created_at?: string
          dedup_key?: string | null
          description?: string | null
          gym_id?: string
          id?: string
          member_id?: string | null
          occurrences?: number
          outcome?: string | null
          priority?: string
          recommended_actions?: NonNullable<Json>
          resolution_notes?: string | null
          resolved_at?: string | null
          resolved_by?: string | null
          snoozed_until?: string | null
          status?: string
          title: string
          updated_at?: string
        }
        Update: {
          alert_type?: string
          assigned_to?: string | null
          context?: NonNullable<Json>
          created_at?: string
          dedup_key?: string | null
          description?: string | null
          gym_id?: string
          id?: string
          member_id?: string | null
          occurrences?: number
          outcome?: string | null
          priority?: string
          recommended_actions?: NonNullable<Json>
          resolution_notes?: string | null
          resolved_at?: string | null
          resolved_by?: string | null
          snoozed_until?: string | null
          status?: string
          title?: string
          updated_at?: string
        }
        Relationships: [
          {
            foreignKeyName: "manager_alerts_gym_id_fkey"
            columns: ["gym_id"]
            isOneToOne: false
            referencedRelation: "gyms"
            referencedColumns: ["id"]
          },
          {
            foreignKeyName: "manager_alerts_gym_id_member_id_fkey"
            columns: ["gym_id","member_id"]
            isOneToOne: false
            referencedRelation: "gym_members_v2"
            referencedColumns: ["gym_id","id"]
          },
        ]
      }
      member_analytics: {
        Row: {
          active_goals_count: number
          avg_sentiment_score: number | null
          avg_session_duration_seconds: number | null
          churn_factors: NonNullable<Json>
          churn_model: string | null
          churn_risk_level: string | null
          churn_risk_score: number | null
          conversation_frequency: string | null
          days_since_last_visit: number | null
          engagement_score: number | null
          goals_achievement_rate: number | null
          gym_id: string
          last_churn_analysis_at: string | null
          last_interaction_at: string | null
          member_id: string
          preferred_days_of_week: (number)[] | null
          preferred_time_of_day: string | null
          sentiment_trend: string | null
          total_conversations: number
          total_sessions: number
          updated_at: string
          visit_frequency_per_week: number | null
          visits_30d: number
        }
        ComputedFields: never
        Insert: {
          active_goals_count?: number
          avg_sentiment_score?: number | null
          avg_session_duration_seconds?: number | null
          churn_factors?: NonNullable<Json>
          churn_model?: string | null
          churn_risk_level?: string | null
          churn_risk_score?: number | null
          conversation_frequency?: string | null
          days_since_last_visit?: number | null
          engagement_score?: number | null
          goals_achievement_rate?: number | null
          gym_id?: string
          last_churn_analysis_at?: string | null
          last_interaction_at?: string | null
          member_id: string
          preferred_days_of_week?: (number)[] | null
          preferred_time_of_day?: string | null
          sentiment_trend?: string | null
          total_conversations?: number
          total_sessions?: number
          updated_at?: string
          visit_frequency_per_week?: number | null
          visits_30d?: number
        }
        Update: {
          active_goals_count?: number
          avg_sentiment_score?: number | null
          avg_session_duration_seconds?: number | null
          churn_factors?: NonNullable<Json>
          churn_model?: string | null
          churn_risk_level?: string | null
          churn_risk_score?: number | null
          conversation_frequency?: string | null
          days_since_last_visit?: number | null
          engagement_score?: number | null
          goals_achievement_rate?: number | null
          gym_id?: string
          last_churn_analysis_at?: string | null
          last_interaction_at?: string | null
          member_id?: string
          preferred_days_of_week?: (number)[] | null
          preferred_time_of_day?: string | null
          sentiment_trend?: string | null
          total_conversations?: number
          total_sessions?: number
          updated_at?: string
          visit_frequency_per_week?: number | null
          visits_30d?: number
        }
        Relationships: [
          {
            foreignKeyName: "member_analytics_gym_id_member_id_fkey"
            columns: ["gym_id","member_id"]
            isOneToOne: false
            referencedRelation: "gym_members_v2"
            referencedColumns: ["gym_id","id"]
          },
        ]
      }
      member_facts: {
        Row: {
          category: string
          confidence: number | null
          confirmed_session_id: string | null
          created_at: string
          expires_at: string | null
          fact_key: string
          fact_value: NonNullable<Json>
          gym_id: string
          id: string
          is_active: boolean | null
          last_confirmed_at: string | null
          member_id: string
          slot: string | null
          source_event_id: string | null
          source_quote: string | null
          source_session_id: string | null
          times_confirmed: number
          updated_at: string
          verified: boolean
        }
        ComputedFields: never
        Insert: {
          category: string
          confidence?: number | null
          confirmed_session_id?: string | null
          created_at?: string
          expires_at?: string | null
          fact_key: string
          fact_value: NonNullable<Json>
          gym_id?: string
          id?: string
          is_active?: boolean | null
          last_confirmed_at?: string | null
          member_id: string
          slot?: string | null
          source_event_id?: string | null
          source_quote?: string | null
          source_session_id?: string | null
          times_confirmed?: number
          updated_at?: string
          verified?: boolean
        }
        Update: {
          category?: string
          confidence?: number | null
          confirmed_session_id?: string | null
          created_at?: string
          expires_at?: string | null
          fact_key?: string
          fact_value?: NonNullable<Json>
          gym_id?: string
          id?: string
          is_active?: boolean | null
          last_confirmed_at?: string | null
          member_id?: string
          slot?: string | null
          source_event_id?: string | null
          source_quote?: string | null
          source_session_id?: string | null
          times_confirmed?: number
          updated_at?: string
          verified?: boolean
        }
        Relationships: [
          {
            foreignKeyName: "member_facts_gym_id_member_id_fkey"
            columns: ["gym_id","member_id"]
            isOneToOne: false
            referencedRelation: "gym_members_v2"
            referencedColumns: ["gym_id","id"]
          },
        ]
      }
      member_fitness_profile: {
        Row: {
          body_fat_percentage: number | null
          created_at: string
          current_weight_kg: number | null
          fitness_level: string | null
          gym_id: string
          height_cm: number | null
          member_id: string
          preferred_workout_duration: number | null
          preferred_workout_style: string | null
          preferred_workout_times: NonNullable<Json>
          primary_goals: (string)[]
          target_date: string | null
          target_weight_kg: number | null
          updated_at: string
          workout_frequency_per_week: number | null
        }
        ComputedFields: never
        Insert: {
          body_fat_percentage?: number | null
          created_at?: string
          current_weight_kg?: number | null
          fitness_level?: string | null
          gym_id?: string
          height_cm?: number | null
          member_id: string
          preferred_workout_duration?: number | null
          preferred_workout_style?: string | null
          preferred_workout_times?: NonNullable<Json>
          primary_goals?: (string)[]
          target_date?: string | null
          target_weight_kg?: number | null
          updated_at?: string
          workout_frequency_per_week?: number | null
        }
        Update: {
          body_fat_percentage?: number | null
          created_at?: string
          current_weight_kg?: number | null
          fitness_level?: string | null
          gym_id?: string
          height_cm?: number | null
          member_id?: string
          preferred_workout_duration?: number | null
          preferred_workout_style?: string | null
          preferred_workout_times?: NonNullable<Json>
          primary_goals?: (string)[]
          target_date?: string | null
          target_weight_kg?: number | null
          updated_at?: string
          workout_frequency_per_week?: number | null
        }
        Relationships: [
          {
            foreignKeyName: "member_fitness_profile_gym_id_member_id_fkey"
            columns: ["gym_id","member_id"]
            isOneToOne: false
            referencedRelation: "gym_members_v2"
            referencedColumns: ["gym_id","id"]
          },
        ]
      }
      member_preferences: {
        Row: {
          communication_style: string
          created_at: string
          feedback_style: string
          gym_id: string
          language: string
          member_id: string
          updated_at: string
          voice_preference: string | null
        }
        ComputedFields: never
        Insert: {
          communication_style?: string
          created_at?: string
          feedback_style?: string
          gym_id?: string
          language?: string
          member_id: string
          updated_at?: string
          voice_preference?: string | null
        }
        Update: {
          communication_style?: string
          created_at?: string
          feedback_style?: string
          gym_id?: string
          language?: string
          member_id?: string
          updated_at?: string
          voice_preference?: string | null
        }
        Relationships: [
          {
            foreignKeyName: "member_preferences_gym_id_member_id_fkey"
            columns: ["gym_id","member_id"]
            isOneToOne: false
            referencedRelation: "gym_members_v2"
            referencedColumns: ["gym_id","id"]
          },
        ]
      }
      member_visits: {
        Row: {
          created_at: string
          gym_id: string
          id: string
          member_id: string
          quantity: number
          source: string
          visited_at: string
        }
        ComputedFields: never
        Insert: {
          created_at?: string
          gym_id?: string
          id?: string
          member_id: string
          quantity?: number
          source?: string
          visited_at?: string
        }
        Update: {
          created_at?: string
          gym_id?: string
          id?: string
          member_id?: string
          quantity?: number
          source?: string
          visited_at?: string
        }
        Relationships: [
          {
            foreignKeyName: "member_visits_gym_id_member_id_fkey"
            columns: ["gym_id","member_id"]
            isOneToOne: false
            referencedRelation: "gym_members_v2"
            referencedColumns: ["gym_id","id"]
          },
        ]
      }
      users: {
        Row: {
          created_at: string
          email: string
          full_name: string | null
          gym_access: (string)[]
          id: string
          is_active: boolean
          role: string
          updated_at: string
        }
        ComputedFields: never
        Insert: {
          created_at?: string
          email: string
          full_name?: string | null
          gym_access?: (string)[]
          id: string
          is_active?: boolean
          role?: string
          updated_at?: string
        }
        Update: {
          created_at?: string
          email?: string
          full_name?: string | null
          gym_access?: (string)[]
          id?: string
          is_active?: boolean
          role?: string
          updated_at?: string
        }
        Relationships: [
        ]
      }
    }
    Views: {
      [_ in never]: never
    }
    Functions: {
      log_member_visit:
        | { Args: { badge_id: string; gym_id?: string }; Returns: string }
      match_conversation_summaries:
        | { Args: { filter_member_id: string; match_count?: number; match_threshold?: number; query_embedding: string }; Returns: {
      created_at: string
      id: string
      key_topics: (string)[]
      sentiment: string
      session_id: string
      similarity: number
      summary_text: string
      }[] }
      member_cautions:
        | { Args: { member: string }; Returns: {
      category: string
      location: string
      member_id: string
      }[] }
    }
    Enums: {
      [_ in never]: never
    }
    CompositeTypes: {
      [_ in never]: never
    }
  }
}

type DatabaseWithoutInternals = Omit<Database, "__InternalSupabase">

type DefaultSchema = DatabaseWithoutInternals[Extract<
  keyof Database,
  "public"
>]

export type Tables<
  DefaultSchemaTableNameOrOptions extends
    | keyof (DefaultSchema["Tables"] & DefaultSchema["Views"])
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends (DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  }
    ? keyof (DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"] &
        DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Views"])
    : never) = never,
> = DefaultSchemaTableNameOrOptions extends {
  schema: keyof DatabaseWithoutInternals
}
  ? (DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"] &
      DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Views"])[TableName] extends {
      Row: infer R
    }
    ? R
    : never
  : DefaultSchemaTableNameOrOptions extends keyof (DefaultSchema["Tables"] &
        DefaultSchema["Views"])
    ? (DefaultSchema["Tables"] &
        DefaultSchema["Views"])[DefaultSchemaTableNameOrOptions] extends {
        Row: infer R
      }
      ? R
      : never
    : never

export type TablesInsert<
  DefaultSchemaTableNameOrOptions extends
    keyof DefaultSchema["Tables"] | { schema: keyof DatabaseWithoutInternals },
  TableName extends (DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  }
    ? keyof DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
    : never) = never,
> = DefaultSchemaTableNameOrOptions extends {
  schema: keyof DatabaseWithoutInternals
}
  ? DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"][TableName] extends {
      Insert: infer I
    }
    ? I
    : never
  : DefaultSchemaTableNameOrOptions extends keyof DefaultSchema["Tables"]
    ? DefaultSchema["Tables"][DefaultSchemaTableNameOrOptions] extends {
        Insert: infer I
      }
      ? I
      : never
    : never

export type TablesUpdate<
  DefaultSchemaTableNameOrOptions extends
    keyof DefaultSchema["Tables"] | { schema: keyof DatabaseWithoutInternals },
  TableName extends (DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  }
    ? keyof DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
    : never) = never,
> = DefaultSchemaTableNameOrOptions extends {
  schema: keyof DatabaseWithoutInternals
}
  ? DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"][TableName] extends {
      Update: infer U
    }
    ? U
    : never
  : DefaultSchemaTableNameOrOptions extends keyof DefaultSchema["Tables"]
    ? DefaultSchema["Tables"][DefaultSchemaTableNameOrOptions] extends {
        Update: infer U
      }
      ? U
      : never
    : never

export type Enums<
  DefaultSchemaEnumNameOrOptions extends
    keyof DefaultSchema["Enums"] | { schema: keyof DatabaseWithoutInternals },
  EnumName extends (DefaultSchemaEnumNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  }
    ? keyof DatabaseWithoutInternals[DefaultSchemaEnumNameOrOptions["schema"]]["Enums"]
    : never) = never,
> = DefaultSchemaEnumNameOrOptions extends {
  schema: keyof DatabaseWithoutInternals
}
  ? DatabaseWithoutInternals[DefaultSchemaEnumNameOrOptions["schema"]]["Enums"][EnumName]
  : DefaultSchemaEnumNameOrOptions extends keyof DefaultSchema["Enums"]
    ? DefaultSchema["Enums"][DefaultSchemaEnumNameOrOptions]
    : never

export type CompositeTypes<
  PublicCompositeTypeNameOrOptions extends
    | keyof DefaultSchema["CompositeTypes"]
    | { schema: keyof DatabaseWithoutInternals },
  CompositeTypeName extends (PublicCompositeTypeNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  }
    ? keyof DatabaseWithoutInternals[PublicCompositeTypeNameOrOptions["schema"]]["CompositeTypes"]
    : never) = never,
> = PublicCompositeTypeNameOrOptions extends {
  schema: keyof DatabaseWithoutInternals
}
  ? DatabaseWithoutInternals[PublicCompositeTypeNameOrOptions["schema"]]["CompositeTypes"][CompositeTypeName]
  : PublicCompositeTypeNameOrOptions extends keyof DefaultSchema["CompositeTypes"]
    ? DefaultSchema["CompositeTypes"][PublicCompositeTypeNameOrOptions]
    : never

export const Constants = {
  public: {
    Enums: {
    },
  },
} as const
