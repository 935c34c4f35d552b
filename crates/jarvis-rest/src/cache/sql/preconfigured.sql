select coalesce(json_agg(json_build_array(name, setting)), '[]')::text
from (
  select name, current_setting(name, true) as setting
  from unnest(array[
    'pgrst.db_plan_enabled', 'pgrst.db_aggregates_enabled', 'pgrst.server_timing_enabled', 'pgrst.db_max_rows',
    'pgrst.db_tx_end', 'pgrst.server_cors_allowed_origins', 'pgrst.server_trace_header', 'pgrst.jwt_role_claim_key'
  ]) as name
) as known
where setting <> ''
