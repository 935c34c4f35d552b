-- Facts that keep in order: a registry of slots, proposals instead of silent merges, a life that ends by asking first,
-- a confirmation that counts a conversation once, and people at the command line who correct as those who sign in do.

set local lock_timeout = '10s';
set local statement_timeout = '300s';
set local search_path = public, extensions;

grant create on schema jarvis to jarvis_writer;

-- ---------------------------------------------------------------------------------------------------------------
-- The registry: what may be known of a member, how it is told apart, how long it is believed
-- ---------------------------------------------------------------------------------------------------------------
create table jarvis.fact_slots (
  slot       text primary key check (slot ~ '^[a-z_]+(\.[a-z_]+)*$'),
  category   text not null check (category in ('goal', 'injury', 'preference', 'progress', 'concern')),
  identity   text[] not null default '{}',
  many       boolean not null,
  asks_after interval check (asks_after > '0'),
  lives      interval not null check (lives > '0'),
  health     boolean not null,
  check (slot = category or starts_with(slot, category || '.'))
);
alter table jarvis.fact_slots enable row level security;
alter table jarvis.fact_slots force row level security;
revoke all on jarvis.fact_slots from public, anon, authenticated, service_role;
comment on table jarvis.fact_slots is 'Registre des cases : ce qui peut être su d''un membre, ce qui l''identifie, combien de temps on le croit.';
comment on column jarvis.fact_slots.slot is 'Début des cases concernées ; la plus longue l''emporte, et la catégorie seule vaut pour les clés inconnues.';
comment on column jarvis.fact_slots.category is 'Catégorie du fait.';
comment on column jarvis.fact_slots.identity is 'Ce qui distingue deux cases, dans l''ordre (partie du corps, côté, exercice, …).';
comment on column jarvis.fact_slots.many is 'Vrai si un membre peut en avoir plusieurs.';
comment on column jarvis.fact_slots.asks_after is 'Après ce temps sans confirmation, l''assistant demande si c''est toujours vrai ; vide : jamais.';
comment on column jarvis.fact_slots.lives is 'Durée de validité depuis la dernière fois que cela a été dit.';
comment on column jarvis.fact_slots.health is 'Donnée de santé.';

-- Health: six months unless said again; anything else two years, less where it is soon out of date.
insert into jarvis.fact_slots (slot, category, identity, many, asks_after, lives, health) values
  ('injury',                'injury',     '{part,side}',      true,  '30 days',   '6 months',  true),
  ('injury.surgery',        'injury',     '{part,side}',      true,  '60 days',   '6 months',  true),
  ('injury.condition',      'injury',     '{condition}',      true,  '60 days',   '6 months',  true),
  ('injury.chronic',        'injury',     '{condition}',      true,  '150 days',  '6 months',  true),
  ('injury.allergy',        'injury',     '{substance}',      true,  '150 days',  '6 months',  true),
  ('injury.medication',     'injury',     '{substance}',      true,  '90 days',   '6 months',  true),
  ('injury.symptom',        'injury',     '{symptom}',        true,  '21 days',   '6 months',  true),
  ('injury.pregnancy',      'injury',     '{}',               false, '60 days',   '6 months',  true),
  ('injury.postpartum',     'injury',     '{}',               false, '60 days',   '6 months',  true),
  ('injury.restriction',    'injury',     '{}',               false, '60 days',   '6 months',  true),
  ('goal',                  'goal',       '{kind,what}',      true,  '90 days',   '24 months', false),
  ('preference',            'preference', '{subject}',        true,  null,        '24 months', false),
  ('progress',              'progress',   '{metric,what}',    true,  null,        '24 months', false),
  ('progress.recovery',     'progress',   '{part,side}',      true,  null,        '6 months',  true),
  ('concern',               'concern',    '{subject}',        true,  '60 days',   '12 months', false),
  ('concern.distress',      'concern',    '{}',               false, '21 days',   '6 months',  true),
  ('concern.cancel_intent', 'concern',    '{}',               false, '30 days',   '6 months',  false);

-- A function, not a table: words such as "genou" in a table would look like something that a member said.
create function jarvis.slot_words() returns table (role text, means text, phrases text[])
  language sql immutable set search_path = ''
  as $$
  select v.role, v.means, string_to_array(v.phrases, ' ') from (values
  ('part', 'lower_back', 'lower_back bas_du_dos bas_dos lombaire lombaires reins lumbar'),
  ('part', 'upper_back', 'upper_back haut_du_dos milieu_du_dos omoplate trapeze shoulder_blade'),
  ('part', 'back', 'back dos colonne spine vertebre'),
  ('part', 'knee', 'knee genou genoux rotule menisque meniscus acl ligament_croise'),
  ('part', 'neck', 'neck nuque cou cervicale cervicales'),
  ('part', 'shoulder', 'shoulder epaule clavicule rotator_cuff coiffe'),
  ('part', 'elbow', 'elbow coude'),
  ('part', 'wrist', 'wrist poignet'),
  ('part', 'hand', 'hand main doigt finger pouce thumb'),
  ('part', 'hip', 'hip hanche bassin pelvis'),
  ('part', 'groin', 'groin aine adducteur'),
  ('part', 'thigh', 'thigh cuisse ischio ischios quadriceps hamstring quad'),
  ('part', 'calf', 'calf calves mollet'),
  ('part', 'achilles', 'achilles achille tendon_d_achille achilles_tendon'),
  ('part', 'ankle', 'ankle cheville'),
  ('part', 'foot', 'foot feet pied talon heel orteil toe'),
  ('part', 'leg', 'leg jambe tibia shin'),
  ('part', 'arm', 'arm bras avant_bras biceps triceps forearm'),
  ('part', 'chest', 'chest poitrine pectoral pectoraux thorax'),
  ('part', 'ribs', 'ribs rib cotes cote'),
  ('part', 'abdomen', 'abdomen ventre abdos stomach belly estomac'),
  ('part', 'head', 'head tete'),
  ('part', 'jaw', 'jaw machoire'),
  ('part', 'eye', 'eye oeil yeux'),
  ('part', 'tooth', 'tooth teeth dent'),
  ('part', 'glute', 'glute fesse fessier'),
  ('side', 'right', 'right droit droite'),
  ('side', 'left', 'left gauche'),
  ('side', 'both', 'both deux'),
  ('injury', 'pregnancy', 'pregnancy pregnant grossesse enceinte'),
  ('injury', 'postpartum', 'postpartum post_partum accouchement'),
  ('injury', 'allergy', 'allergy allergic allergie allergique allergies'),
  ('injury', 'medication', 'medication medicament medicaments medicine traitement treatment meds'),
  ('injury', 'surgery', 'surgery operation opere operee chirurgie prothese'),
  ('injury', 'restriction', 'exercise_restriction restriction contre_indication'),
  ('chronic', 'asthma', 'asthma asthme asthmatique asthmatic'),
  ('chronic', 'diabetes', 'diabetes diabete diabetique diabetic'),
  ('chronic', 'hypertension', 'hypertension high_blood_pressure tension_elevee hypertendu'),
  ('chronic', 'heart_condition', 'heart_condition heart_problem heart_disease cardiaque coeur infarctus pacemaker'),
  ('chronic', 'epilepsy', 'epilepsy epilepsie epileptique epileptic'),
  ('chronic', 'osteoporosis', 'osteoporosis osteoporose'),
  ('chronic', 'thyroid', 'thyroid thyroide hypothyroidie hyperthyroidie'),
  ('chronic', 'fibromyalgia', 'fibromyalgia fibromyalgie'),
  ('chronic', 'endometriosis', 'endometriosis endometriose'),
  ('chronic', 'multiple_sclerosis', 'multiple_sclerosis sclerose_en_plaques'),
  ('chronic', 'anemia', 'anemia anemie'),
  ('chronic', 'migraine', 'migraine'),
  ('chronic', 'sleep_apnea', 'sleep_apnea apnee_du_sommeil apnee'),
  ('chronic', 'cancer', 'cancer chimiotherapie chemotherapy'),
  ('chronic', 'depression', 'depression burn_out burnout'),
  ('chronic', 'eating_disorder', 'eating_disorder anorexie anorexia boulimie bulimia'),
  ('chronic', 'celiac', 'celiac coeliac coeliaque maladie_coeliaque'),
  ('chronic', 'hemophilia', 'hemophilia hemophilie hemophile'),
  ('chronic', 'cholesterol', 'cholesterol'),
  ('chronic', 'covid', 'covid covid_long long_covid'),
  ('chronic', 'chronic_condition', 'chronic_condition maladie_chronique chronic_illness'),
  ('condition', 'tendinitis', 'tendinitis tendonitis tendinite'),
  ('condition', 'sprain', 'sprain entorse foulure'),
  ('condition', 'strain', 'strain claquage elongation dechirure contracture'),
  ('condition', 'fracture', 'fracture fissure felure'),
  ('condition', 'herniated_disc', 'herniated_disc hernie hernie_discale slipped_disc'),
  ('condition', 'sciatica', 'sciatica sciatique'),
  ('condition', 'lumbago', 'lumbago tour_de_rein lombalgie'),
  ('condition', 'arthritis', 'arthritis arthrose arthrite osteoarthritis'),
  ('condition', 'dislocation', 'dislocation luxation'),
  ('condition', 'rupture', 'rupture'),
  ('condition', 'bursitis', 'bursitis bursite'),
  ('condition', 'concussion', 'concussion commotion'),
  ('condition', 'shin_splints', 'shin_splints periostite'),
  ('condition', 'plantar_fasciitis', 'plantar_fasciitis fasciite aponevrosite'),
  ('condition', 'epicondylitis', 'epicondylitis epicondylite tennis_elbow'),
  ('condition', 'capsulitis', 'capsulitis capsulite frozen_shoulder'),
  ('condition', 'pubalgia', 'pubalgia pubalgie'),
  ('condition', 'stiff_neck', 'stiff_neck torticolis'),
  ('condition', 'scoliosis', 'scoliosis scoliose'),
  ('condition', 'carpal_tunnel', 'carpal_tunnel canal_carpien'),
  ('condition', 'inflammation', 'inflammation'),
  ('condition', 'hematoma', 'hematoma hematome'),
  ('symptom', 'dizziness', 'dizziness dizzy vertige vertiges etourdissement'),
  ('symptom', 'nausea', 'nausea nausee'),
  ('symptom', 'fainting', 'fainting fainted malaise syncope evanouissement'),
  ('symptom', 'palpitations', 'palpitations palpitation'),
  ('symptom', 'insomnia', 'insomnia insomnie'),
  ('symptom', 'numbness', 'numbness fourmillement fourmillements engourdissement tingling'),
  ('symptom', 'breathlessness', 'breathlessness short_of_breath essoufflement oppression'),
  ('symptom', 'fever', 'fever fievre grippe flu'),
  ('symptom', 'cramps', 'cramps cramp crampe'),
  ('substance', 'peanuts', 'peanuts peanut arachide cacahuete'),
  ('substance', 'nuts', 'nuts nut noix fruits_a_coque noisette'),
  ('substance', 'latex', 'latex'),
  ('substance', 'pollen', 'pollen'),
  ('substance', 'lactose', 'lactose lait milk dairy'),
  ('substance', 'gluten', 'gluten'),
  ('substance', 'shellfish', 'shellfish crustace fruits_de_mer'),
  ('substance', 'penicillin', 'penicillin penicilline'),
  ('substance', 'bee_stings', 'bee_stings bee wasp abeille guepe'),
  ('substance', 'dust', 'dust poussiere acarien'),
  ('substance', 'anticoagulant', 'anticoagulant fluidifiant blood_thinner'),
  ('substance', 'beta_blocker', 'beta_blocker betabloquant beta_bloquant'),
  ('substance', 'cortisone', 'cortisone corticoide'),
  ('substance', 'anti_inflammatory', 'anti_inflammatory anti_inflammatoire ibuprofene ibuprofen'),
  ('substance', 'insulin', 'insulin insuline'),
  ('substance', 'inhaler', 'inhaler ventoline ventolin inhalateur'),
  ('substance', 'antidepressant', 'antidepressant antidepresseur anxiolytique'),
  ('substance', 'antibiotic', 'antibiotic antibiotique'),
  ('substance', 'painkiller', 'painkiller antidouleur anti_douleur paracetamol doliprane codeine tramadol morphine'),
  ('substance', 'statin', 'statin statine'),
  ('goal', 'lose_weight', 'lose_weight weight_loss weight perte_de_poids perdre_du_poids perdre_poids poids maigrir mincir slimming fat_loss'),
  ('goal', 'gain_muscle', 'gain_muscle muscle muscle_gain build_muscle prise_de_masse prendre_du_muscle musculation tonifier'),
  ('goal', 'run', 'run running courir course course_a_pied jogging marathon half_marathon semi_marathon semi'),
  ('goal', 'event', 'event trail triathlon ironman obstacle_race competition race trek randonnee wedding mariage'),
  ('goal', 'strength', 'strength force strong stronger puissance'),
  ('goal', 'endurance', 'endurance cardio stamina souffle'),
  ('goal', 'flexibility', 'flexibility souplesse flexible grand_ecart'),
  ('goal', 'habit', 'habit regularite frequency frequence routine training_frequency seances_par_semaine'),
  ('goal', 'mobility', 'mobility mobilite posture balance equilibre'),
  ('goal', 'fitness', 'fitness forme remise_en_forme shape condition_physique'),
  ('goal', 'skill', 'skill apprendre learn technique'),
  ('what', 'half_marathon', 'half_marathon semi_marathon semi'),
  ('what', 'marathon', 'marathon'),
  ('what', 'trail', 'trail'),
  ('what', 'triathlon', 'triathlon ironman'),
  ('what', 'obstacle_race', 'obstacle_race hyrox spartan'),
  ('what', 'competition', 'competition tournoi championnat tournament'),
  ('what', 'trek', 'trek randonnee hike'),
  ('what', 'wedding', 'wedding mariage'),
  ('what', 'squats', 'squats squat'),
  ('what', 'lunges', 'lunges lunge fente fentes'),
  ('what', 'deadlifts', 'deadlifts deadlift souleve_de_terre'),
  ('what', 'bench_press', 'bench_press developpe_couche bench'),
  ('what', 'overhead_press', 'overhead_press developpe_militaire shoulder_press'),
  ('what', 'leg_press', 'leg_press presse_a_cuisses presse'),
  ('what', 'pull_ups', 'pull_ups pull_up pullup traction tractions'),
  ('what', 'push_ups', 'push_ups push_up pushup pompe pompes'),
  ('what', 'plank', 'plank planche gainage'),
  ('what', 'burpees', 'burpees burpee'),
  ('what', 'rowing', 'rowing rameur rower'),
  ('what', 'cycling', 'cycling velo bike'),
  ('what', 'swimming', 'swimming natation piscine nager'),
  ('preference', 'training_time', 'training_time workout_time preferred_time horaire horaires creneau heure matin soir midi morning evening afternoon'),
  ('preference', 'training_alone', 'training_alone seul alone'),
  ('preference', 'training_company', 'training_company en_groupe group a_plusieurs'),
  ('preference', 'training_outdoors', 'training_outdoors outdoors dehors plein_air'),
  ('preference', 'music', 'music musique playlist'),
  ('preference', 'coaching', 'coaching coach entraineur trainer'),
  ('preference', 'diet', 'diet regime alimentation nutrition vegan vegetarian vegetarien vegetarienne'),
  ('preference', 'address_form', 'address_form tutoiement vouvoiement'),
  ('preference', 'quiet', 'quiet calme silence'),
  ('preference', 'small_gyms', 'small_gyms petite_salle'),
  ('preference', 'short_sessions', 'short_sessions seances_courtes short_workouts'),
  ('preference', 'circuit_training', 'circuit_training circuit'),
  ('preference', 'strength_training', 'strength_training musculation muscu weight_training'),
  ('preference', 'cardio', 'cardio'),
  ('preference', 'running', 'running course_a_pied courir footing'),
  ('preference', 'swimming', 'swimming piscine natation pool'),
  ('preference', 'group_classes', 'group_classes cours_collectif cours_collectifs group_class'),
  ('preference', 'class_zumba', 'class_zumba zumba'),
  ('preference', 'class_yoga', 'class_yoga yoga'),
  ('preference', 'class_pilates', 'class_pilates pilates'),
  ('preference', 'class_spinning', 'class_spinning spinning rpm biking'),
  ('preference', 'class_body_combat', 'class_body_combat body_combat bodycombat'),
  ('preference', 'class_body_pump', 'class_body_pump body_pump bodypump'),
  ('preference', 'class_boxing', 'class_boxing boxe boxing'),
  ('preference', 'class_crossfit', 'class_crossfit crossfit cross_training'),
  ('preference', 'class_hiit', 'class_hiit hiit'),
  ('preference', 'class_dance', 'class_dance danse dance'),
  ('preference', 'class_stretching', 'class_stretching stretching etirement'),
  ('preference', 'class_aquagym', 'class_aquagym aquagym aquabike'),
  ('preference', 'class_step', 'class_step'),
  ('preference', 'equipment_treadmill', 'equipment_treadmill tapis treadmill tapis_de_course'),
  ('preference', 'equipment_rower', 'equipment_rower rameur rower'),
  ('preference', 'equipment_bike', 'equipment_bike velo bike'),
  ('preference', 'equipment_elliptical', 'equipment_elliptical elliptique elliptical'),
  ('preference', 'equipment_free_weights', 'equipment_free_weights free_weights haltere poids_libre dumbbell'),
  ('preference', 'equipment_machines', 'equipment_machines machine'),
  ('preference', 'equipment_sauna', 'equipment_sauna sauna hammam'),
  ('preference', 'exercise_squats', 'exercise_squats squat'),
  ('preference', 'exercise_burpees', 'exercise_burpees burpee'),
  ('preference', 'exercise_deadlifts', 'exercise_deadlifts deadlift souleve_de_terre'),
  ('preference', 'exercise_pull_ups', 'exercise_pull_ups pull_up traction'),
  ('preference', 'exercise_push_ups', 'exercise_push_ups push_up pompe'),
  ('preference', 'exercise_lunges', 'exercise_lunges lunge fente'),
  ('preference', 'exercise_plank', 'exercise_plank plank planche gainage'),
  ('preference', 'exercise_core', 'exercise_core abdos core'),
  ('preference', 'exercise_bench_press', 'exercise_bench_press bench_press developpe_couche'),
  ('progress', 'recovery', 'recovery retablissement guerison recovered'),
  ('progress', 'weight', 'weight poids'),
  ('progress', 'waist', 'waist taille tour_de_taille'),
  ('progress', 'load', 'load charge'),
  ('progress', 'record', 'record pr personal_record'),
  ('progress', 'reps', 'reps repetitions repetition'),
  ('progress', 'distance', 'distance'),
  ('progress', 'time', 'time temps chrono'),
  ('progress', 'endurance', 'endurance cardio'),
  ('progress', 'strength', 'strength force'),
  ('progress', 'muscle', 'muscle'),
  ('progress', 'sessions', 'sessions seance seances attendance'),
  ('progress', 'consistency', 'consistency regularite'),
  ('progress', 'goal_reached', 'goal_reached objectif_atteint'),
  ('progress', 'milestone', 'milestone cap'),
  ('progress', 'first_rep', 'first_rep premiere_fois'),
  ('progress', 'fitness', 'fitness forme'),
  ('progress', 'flexibility', 'flexibility souplesse'),
  ('progress', 'wellbeing', 'wellbeing bien_etre'),
  ('progress', 'race', 'race course'),
  ('progress', 'volume', 'volume'),
  ('progress', 'general', 'general'),
  ('concern', 'billing', 'billing facture facturation paiement payment prelevement tarif price prix'),
  ('concern', 'hygiene', 'hygiene proprete cleanliness sale douches'),
  ('concern', 'crowding', 'crowding crowded monde affluence attente'),
  ('concern', 'equipment', 'equipment materiel machine machine_broken panne broken'),
  ('concern', 'staff', 'staff personnel accueil'),
  ('concern', 'staff_or_member_conduct', 'staff_or_member_conduct conduct comportement harcelement harassment'),
  ('concern', 'comfort', 'comfort confort chauffage climatisation temperature bruit noise'),
  ('concern', 'schedule', 'schedule planning horaires'),
  ('concern', 'motivation', 'motivation demotivation'),
  ('concern', 'distress', 'distress detresse moral'),
  ('concern', 'cancel_intent', 'cancel_intent cancellation cancel resiliation resilier annuler_abonnement')
  ) as v (role, means, phrases)
  $$;
comment on function jarvis.slot_words() is 'Vocabulaire français et anglais par lequel une clé libre trouve sa case : rôle, nom canonique, formes pliées dont les mots sont séparés par des soulignés ; le pluriel en -s se reconnaît seul.';

grant select on jarvis.fact_slots to jarvis_writer;

-- A key or a value as words: folded, joined by underscores, then once more without the plural's s.
create function jarvis.slot_form(phrase text) returns text
  language sql stable set search_path = ''
  as $$
    select '_' || w.words || '_|_' || regexp_replace(w.words, '([a-z]{3})s(?=_|$)', '\1', 'g') || '_'
      from (select btrim(regexp_replace(jarvis.fold(coalesce(phrase, '')), '[^a-z0-9]+', '_', 'g'), '_') as words) as w
  $$;
comment on function jarvis.slot_form(text) is 'Mots pliés d''une clé ou d''une valeur, tels quels puis sans les pluriels.';

create function jarvis.slot_word(of_role text, form text) returns text
  language sql stable set search_path = ''
  as $$
    select w.means from jarvis.slot_words() w cross join lateral unnest(w.phrases) as p (phrase)
     where w.role = of_role and strpos(form, '_' || p.phrase || '_') > 0
     order by length(p.phrase) desc, w.means limit 1
  $$;
comment on function jarvis.slot_word(text, text) is 'Ce que désignent les mots d''une clé dans ce rôle ; la plus longue forme l''emporte.';

-- A part and its side: of the key, and of the value where the key does not say.
create function jarvis.slot_place(key_form text, value_form text) returns text
  language sql stable set search_path = ''
  as $$
    select coalesce(k.part, v.part)
           || coalesce('.' || coalesce(k.side, case when k.part is null or coalesce(v.part, k.part) = k.part then v.side end), '')
      from (select jarvis.slot_word('part', key_form), jarvis.slot_word('side', key_form)) as k (part, side),
           (select jarvis.slot_word('part', value_form), jarvis.slot_word('side', value_form)) as v (part, side)
  $$;
comment on function jarvis.slot_place(text, text) is 'Partie du corps et côté, par exemple knee.right ; null si aucune n''est nommée.';

create function jarvis.slot_substance(kind text, key_form text, detail_form text) returns text
  language sql stable set search_path = ''
  as $$
    select coalesce(jarvis.slot_word('substance', key_form), jarvis.slot_word('substance', detail_form),
                    nullif(left(btrim(regexp_replace(split_part(key_form, '|', 1),
                      '_(' || kind || '|allergic|allergie|allergique|allergies|medicament|medicaments|medicine|traitement|treatment|meds'
                           || '|a|aux|au|to|de|du|des|d|la|le|les|the|l|for|pour)(?=_)', '', 'g'), '_'), 40), ''),
                    nullif(btrim(split_part(detail_form, '|', 1), '_'), ''))
  $$;
comment on function jarvis.slot_substance(text, text, text) is 'Produit d''une allergie ou d''un traitement, canonique quand il est connu.';

create function jarvis.slot_of(category text, fact_key text, fact_value jsonb) returns text
  language plpgsql stable security definer set search_path = ''
  as $$
declare
  key_form constant text := jarvis.slot_form(fact_key);
  place_form constant text := jarvis.slot_form(concat_ws(' ', fact_value ->> 'location', fact_value ->> 'side'));
  named_form constant text := jarvis.slot_form(concat_ws(' ', fact_value ->> 'condition', fact_value ->> 'detail'));
  kind text;
  what text;
begin
  if category = 'injury' then
    kind := coalesce(jarvis.slot_word('injury', key_form), jarvis.slot_word('injury', jarvis.slot_form(fact_value ->> 'kind')));
    if kind in ('pregnancy', 'postpartum', 'restriction') then
      return 'injury.' || kind;
    elsif kind in ('allergy', 'medication') then
      return 'injury.' || kind || coalesce('.' || jarvis.slot_substance(kind, key_form, jarvis.slot_form(fact_value ->> 'detail')), '');
    elsif kind = 'surgery' then
      return 'injury.surgery' || coalesce('.' || jarvis.slot_place(key_form, place_form), '');
    end if;
    what := jarvis.slot_word('symptom', key_form);
    if what is not null then
      return 'injury.symptom.' || what;
    end if;
    what := coalesce(jarvis.slot_word('chronic', key_form),
                     case when fact_value ->> 'kind' like 'chronic%' then jarvis.slot_word('chronic', named_form) end);
    if what is not null then
      return 'injury.chronic.' || what;
    end if;
    return 'injury.' || coalesce(jarvis.slot_place(key_form, place_form),
                                 'condition.' || jarvis.slot_word('condition', key_form),
                                 'condition.' || jarvis.slot_word('condition', named_form));
  elsif category = 'goal' then
    kind := coalesce(jarvis.slot_word('goal', jarvis.slot_form(fact_value ->> 'kind')), jarvis.slot_word('goal', key_form));
    what := coalesce(jarvis.slot_word('what', key_form), jarvis.slot_word('what', jarvis.slot_form(fact_value ->> 'what')));
    return 'goal.' || kind
           || case when kind in ('run', 'event', 'strength', 'skill', 'endurance') then coalesce('.' || what, '') else '' end;
  elsif category = 'preference' then
    return 'preference.' || coalesce(jarvis.slot_word('preference', key_form),
                                     jarvis.slot_word('preference', jarvis.slot_form(fact_value ->> 'subject')));
  elsif category = 'progress' then
    kind := coalesce(jarvis.slot_word('progress', key_form), jarvis.slot_word('progress', jarvis.slot_form(fact_value ->> 'metric')));
    if kind = 'recovery' then
      return 'progress.recovery' || coalesce('.' || coalesce(jarvis.slot_place(key_form, place_form),
                                                             jarvis.slot_word('condition', key_form)), '');
    end if;
    what := coalesce(jarvis.slot_word('what', key_form), jarvis.slot_word('what', jarvis.slot_form(fact_value ->> 'exercise')));
    return 'progress.' || kind || coalesce('.' || what, '');
  end if;
  return 'concern.' || coalesce(jarvis.slot_word('concern', key_form),
                                jarvis.slot_word('concern', jarvis.slot_form(fact_value ->> 'subject')));
end
$$;
comment on function jarvis.slot_of(text, text, jsonb) is 'Case canonique d''un fait d''après sa clé et sa valeur ; null quand la clé est inconnue du registre.';

create function jarvis.slot_rules(of_category text, of_slot text, out asks_after interval, out lives interval, out health boolean)
  language sql stable security definer set search_path = ''
  as $$
    select s.asks_after, s.lives, s.health from jarvis.fact_slots s
     where s.category = of_category and (s.slot = of_category or s.slot = of_slot or starts_with(of_slot, s.slot || '.'))
     order by length(s.slot) desc limit 1
  $$;
comment on function jarvis.slot_rules(text, text) is 'Règles de vie d''une case ; celles de la catégorie pour une clé inconnue.';

-- ---------------------------------------------------------------------------------------------------------------
-- member_facts: the slot and the life of every writer's facts
-- ---------------------------------------------------------------------------------------------------------------
alter table public.member_facts add column confirmed_session_id text;
comment on column public.member_facts.confirmed_session_id is 'Dernière conversation qui a confirmé le fait ; elle ne le confirme qu''une fois.';

create function jarvis.fill_slot() returns trigger
  language plpgsql set search_path = ''
  as $$
begin
  if tg_op = 'INSERT' then
    new.slot := coalesce(jarvis.slot_of(new.category, new.fact_key, new.fact_value), new.slot);
    new.confirmed_session_id := null;
  else
    if (new.category, new.fact_key, new.fact_value) is distinct from (old.category, old.fact_key, old.fact_value) then
      new.slot := coalesce(jarvis.slot_of(new.category, new.fact_key, new.fact_value),
                           nullif(new.slot, old.slot), case when new.fact_key = old.fact_key then old.slot end);
    end if;
    new.confirmed_session_id := old.confirmed_session_id;
  end if;
  return new;
end
$$;
comment on function jarvis.fill_slot() is 'Déclencheur : range un fait dans sa case, quel que soit son auteur.';
create trigger b10_slot before insert or update on public.member_facts for each row execute function jarvis.fill_slot();

-- After the guard: what begins, is said again or comes back lives its time from now on.
create function jarvis.fill_expiry() returns trigger
  language plpgsql set search_path = ''
  as $$
declare
  until constant timestamptz := now() + (jarvis.slot_rules(new.category, new.slot)).lives;
begin
  if tg_op = 'INSERT' then
    new.expires_at := coalesce(new.expires_at, until);
  elsif new.is_active and new.expires_at is not distinct from old.expires_at
        and (new.fact_value <> old.fact_value or not old.is_active or new.times_confirmed > old.times_confirmed) then
    new.expires_at := greatest(old.expires_at, until);
  end if;
  return new;
end
$$;
comment on function jarvis.fill_expiry() is 'Déclencheur : la fin de validité d''un fait suit la dernière fois qu''il a été dit.';
create trigger b30_expiry before insert or update on public.member_facts for each row execute function jarvis.fill_expiry();

-- An operator at the command line, or a person for whom our server acts, corrects as those do who sign in.
create function jarvis.by_person() returns boolean
  language sql stable set search_path = ''
  as $$
    select jarvis.request_role() = 'authenticated'
        or (jarvis.request_role() = 'jarvis_server'
            and (jarvis.actor() = 'operator' or jarvis.actor() like 'user:%'))
  $$;
comment on function jarvis.by_person() is 'Vrai si une personne écrit : connectée, à la ligne de commande, ou par notre serveur qui agit pour elle.';

-- As before, but that a person is a person wherever they write.
create or replace function jarvis.fact_refusal(was public.member_facts, becomes public.member_facts) returns text
  language plpgsql stable set search_path = ''
  as $$
declare
  session constant text := jarvis.change_session(becomes.source_session_id);
  -- A change that names no conversation of its own keeps the source of what it changes.
  named constant boolean := nullif(current_setting('app.session_id', true), '') is not null
                            or becomes.source_session_id is distinct from was.source_session_id;
  value_changes constant boolean := becomes.fact_value <> was.fact_value;
  began timestamptz;
begin
  if jarvis.by_person() then
    return null;
  end if;
  if not was.is_active then
    -- Replaying an old conversation, or the one that ended the fact, must not bring it back.
    if (becomes.is_active or becomes.fact_value <> was.fact_value)
       and (session is null or session is not distinct from was.source_session_id
            or exists (select from jarvis.member_fact_history h
                        where h.gym_id = was.gym_id and h.fact_id = was.id and h.session_id = session
                          and h.operation in ('insert', 'update', 'confirm', 'retire', 'revive'))) then
      return 'retired_fact';
    end if;
  end if;
  -- What was said first never undoes what was said, or corrected by a person, since: conversations may be processed
  -- late, twice, and in any order.
  if (named or value_changes) and (value_changes or becomes.is_active <> was.is_active) then
    select s.started_at into began from public.conversation_sessions s
     where s.gym_id = was.gym_id and s.session_id = session;
    if exists (select from jarvis.member_fact_history h
                where h.gym_id = was.gym_id and h.fact_id = was.id and h.operation <> 'refuse'
                  and (h.actor like 'user:%' or h.actor in ('authenticated', 'operator')) and h.recorded_at > began) then
      return 'corrected_by_person';
    end if;
    if named and exists (
      select from public.conversation_sessions s
       where s.gym_id = was.gym_id and s.session_id <> session and s.started_at > began
         and (s.session_id = was.source_session_id
              or s.session_id in (select h.session_id from jarvis.member_fact_history h
                                   where h.gym_id = was.gym_id and h.fact_id = was.id and h.operation <> 'refuse'))) then
      return 'older_session';
    end if;
  end if;
  if was.is_active and becomes.is_active and value_changes then
    if was.times_confirmed > 0 and (becomes.confidence < was.confidence or not becomes.verified) then
      return 'confirmed_fact';
    elsif becomes.confidence < was.confidence then
      return 'lower_confidence';
    end if;
  end if;
  return null;
end
$$;

-- Replacing a function takes its owner, whom the migrating role may become without inheriting from them.
select set_config('jarvis.migrating_role', current_user, true);
set local role jarvis_writer;
create or replace function jarvis.guard_fact() returns trigger
  language plpgsql security definer set search_path = ''
  as $$
declare
  by_person constant boolean := jarvis.by_person();
  refusal text;
begin
  -- Not the caller's gym: answer nothing here, row level security refuses the row next.
  if jarvis.is_elsewhere(new.gym_id) then
    return new;
  end if;
  new.confidence := coalesce(new.confidence, 0.8);
  new.is_active := coalesce(new.is_active, true);
  if tg_op = 'INSERT' then
    new.times_confirmed := 0;
    new.last_confirmed_at := null;
  else
    new.times_confirmed := old.times_confirmed;
    new.last_confirmed_at := old.last_confirmed_at;
    new.created_at := old.created_at;
    new.updated_at := now();
    -- Ending a fact keeps what it was, names the conversation that ended it, and needs no consent.
    if old.is_active and not new.is_active and not by_person then
      new.fact_value := old.fact_value;
      new.confidence := old.confidence;
      new.verified := old.verified;
      new.source_quote := old.source_quote;
      new.source_event_id := old.source_event_id;
      refusal := jarvis.fact_refusal(old, new);
      if refusal is not null then
        perform jarvis.record_refusal(old, new, refusal);
        return old;
      end if;
      return new;
    end if;
  end if;

  if tg_op = 'INSERT' or (new.is_active and not old.is_active) or new.source_quote is distinct from old.source_quote
     or (new.fact_value, new.category, new.fact_key) is distinct from (old.fact_value, old.category, old.fact_key) then
    perform jarvis.require_consent(new.gym_id, new.member_id, 'memory');
    if jarvis.is_health_fact(new.category, new.fact_key, new.fact_value, new.slot) then
      perform jarvis.require_consent(new.gym_id, new.member_id, 'health_memory');
    end if;
    perform jarvis.check_fact_value(new.category, new.fact_value);
  end if;

  -- A new value from a new conversation does not inherit the old value's evidence, unless it was said there again.
  if tg_op = 'UPDATE' and new.fact_value <> old.fact_value and new.source_quote = old.source_quote
     and new.source_session_id is distinct from old.source_session_id
     and not coalesce(jarvis.quote_is_said(new.gym_id, new.member_id, new.source_session_id, new.source_quote), false) then
    new.source_quote := null;
    new.source_event_id := null;
  end if;
  if tg_op = 'INSERT' or (new.source_quote, new.source_session_id, new.fact_value)
                         is distinct from (old.source_quote, old.source_session_id, old.fact_value) then
    new.verified := new.source_quote is not null and new.source_session_id is not null
      and jarvis.quote_is_said(new.gym_id, new.member_id, new.source_session_id, new.source_quote);
    if not new.verified and not by_person then
      new.confidence := least(new.confidence, 0.5);
    end if;
  else
    new.verified := old.verified;
  end if;
  if tg_op = 'INSERT' then
    return new;
  end if;

  refusal := jarvis.fact_refusal(old, new);
  if refusal is not null then
    perform jarvis.record_refusal(old, new, refusal);
    return old;
  end if;
  if by_person then
    if new.is_active then
      new.times_confirmed := old.times_confirmed + 1;
      new.last_confirmed_at := now();
    end if;
  elsif new.fact_value <> old.fact_value or not old.is_active then
    new.times_confirmed := 0;
    new.last_confirmed_at := null;
  else
    new := jarvis.same_value_again(old, new);
  end if;
  if to_jsonb(new) - 'updated_at' = to_jsonb(old) - 'updated_at' then
    new.updated_at := old.updated_at;
  end if;
  return new;
end
$$;
select set_config('role', current_setting('jarvis.migrating_role'), true);

-- As before; the conversation that confirms is kept, so that processing it again confirms nothing.
create or replace function jarvis.same_value_again(was public.member_facts, becomes public.member_facts) returns public.member_facts
  language plpgsql stable set search_path = ''
  as $$
declare
  session constant text := jarvis.change_session(becomes.source_session_id);
  said_again constant boolean := session is not null
    and not exists (select from jarvis.member_fact_history h
                     where h.gym_id = was.gym_id and h.fact_id = was.id and h.session_id = session
                       and h.operation in ('insert', 'update', 'confirm', 'revive'));
begin
  if was.verified and not becomes.verified or not said_again then
    becomes.source_session_id := was.source_session_id;
    becomes.source_quote := was.source_quote;
    becomes.source_event_id := was.source_event_id;
    becomes.verified := was.verified;
  end if;
  becomes.confidence := greatest(was.confidence, becomes.confidence);
  if said_again then
    becomes.times_confirmed := was.times_confirmed + 1;
    becomes.last_confirmed_at := now();
    becomes.confirmed_session_id := session;
  end if;
  return becomes;
end
$$;

select set_config('jarvis.migrating_role', current_user, true);
set local role jarvis_writer;
create or replace function jarvis.record_fact() returns trigger
  language plpgsql security definer set search_path = ''
  as $$
declare
  of_fact public.member_facts := case when tg_op = 'DELETE' then old else new end;
  kind text;
  version_starts boolean;
  change bigint;
begin
  -- Erased with its member: nothing is left to be remembered by.
  if tg_op = 'DELETE' and not exists (select from public.gym_members_v2 m
                                       where m.gym_id = old.gym_id and m.id = old.member_id) then
    return null;
  end if;
  -- Refused, or nothing new.
  if tg_op = 'UPDATE' and to_jsonb(new) - 'updated_at' = to_jsonb(old) - 'updated_at' then
    return null;
  end if;
  kind := case
    when tg_op <> 'UPDATE' then lower(tg_op)
    when old.is_active and not new.is_active then 'retire'
    when new.is_active and not old.is_active then 'revive'
    when new.fact_value = old.fact_value and new.times_confirmed > old.times_confirmed then 'confirm'
    else 'update' end;
  version_starts := kind in ('insert', 'update', 'revive');
  insert into jarvis.member_fact_history
         (fact_id, gym_id, member_id, category, fact_key, operation, old, new, session_id, valid_from)
  values (of_fact.id, of_fact.gym_id, of_fact.member_id, of_fact.category, of_fact.fact_key, kind,
          case when tg_op <> 'INSERT' then to_jsonb(old) end, case when tg_op <> 'DELETE' then to_jsonb(new) end,
          case when kind = 'confirm' and new.confirmed_session_id is distinct from old.confirmed_session_id
               then new.confirmed_session_id else jarvis.change_session(of_fact.source_session_id) end,
          case when version_starts then now() end)
  returning id into change;
  if kind <> 'confirm' then
    update jarvis.member_fact_history h set valid_to = now(), superseded_by = change
     where h.gym_id = of_fact.gym_id and h.fact_id = of_fact.id and h.id <> change
       and h.valid_from is not null and h.valid_to is null;
  end if;
  return null;
end
$$;
select set_config('role', current_setting('jarvis.migrating_role'), true);

-- As before, but that an injury does not drop out of sight by its age alone.
select set_config('jarvis.migrating_role', current_user, true);
set local role jarvis_writer;
create or replace function jarvis.cautions_of(member uuid)
  returns table (member_id uuid, category text, location text)
  language sql stable security definer set search_path = ''
  as $$
    select f.member_id, f.category,
           case when f.category = 'injury'
                then coalesce(nullif(concat_ws('_', f.fact_value ->> 'side', f.fact_value ->> 'location'), ''),
                              f.fact_value ->> 'kind')
                else f.fact_value ->> 'kind' end
      from public.member_facts f
     where f.member_id = cautions_of.member
       and f.is_active and (f.category = 'injury' or f.expires_at is null or f.expires_at > now())
       and jarvis.is_health_fact(f.category, f.fact_key, f.fact_value, f.slot)
       and jarvis.may_touch(f.gym_id)
       and jarvis.consent_given(f.gym_id, f.member_id, 'share_with_staff')
     order by f.category, f.created_at, f.id
  $$;
select set_config('role', current_setting('jarvis.migrating_role'), true);

-- ---------------------------------------------------------------------------------------------------------------
-- Proposals: two facts that look like one. A person decides; nothing is merged in silence.
-- ---------------------------------------------------------------------------------------------------------------
create table jarvis.fact_proposals (
  id         uuid primary key default gen_random_uuid(),
  gym_id     uuid not null default jarvis.current_gym(),
  member_id  uuid not null,
  first_fact uuid not null,
  other_fact uuid not null,
  reason     text not null check (reason in ('same_slot', 'side_unknown', 'same_words', 'same_value')),
  state      text not null default 'pending' check (state in ('pending', 'accepted', 'rejected')),
  decided_by text,
  decided_at timestamptz,
  created_at timestamptz not null default now(),
  check (first_fact < other_fact),
  check ((state = 'pending') = (decided_at is null)),
  unique (gym_id, id),
  unique (gym_id, first_fact, other_fact),
  foreign key (gym_id, member_id) references public.gym_members_v2 (gym_id, id) on delete cascade
);
create index fact_proposals_member on jarvis.fact_proposals (gym_id, member_id);
create index fact_proposals_other on jarvis.fact_proposals (gym_id, other_fact);
alter table jarvis.fact_proposals enable row level security;
alter table jarvis.fact_proposals force row level security;
revoke all on jarvis.fact_proposals from public, anon, authenticated, service_role;
comment on table jarvis.fact_proposals is 'Faits qui se ressemblent : une fusion proposée, qu''une personne accepte ou refuse.';
comment on column jarvis.fact_proposals.id is 'Identifiant (UUID).';
comment on column jarvis.fact_proposals.gym_id is 'Salle.';
comment on column jarvis.fact_proposals.member_id is 'Membre.';
comment on column jarvis.fact_proposals.first_fact is 'L''un des deux faits.';
comment on column jarvis.fact_proposals.other_fact is 'L''autre.';
comment on column jarvis.fact_proposals.reason is 'same_slot, side_unknown, same_words ou same_value.';
comment on column jarvis.fact_proposals.state is 'pending, accepted ou rejected.';
comment on column jarvis.fact_proposals.decided_by is 'Qui a décidé.';
comment on column jarvis.fact_proposals.decided_at is 'Quand.';
comment on column jarvis.fact_proposals.created_at is 'Création de la ligne.';
create policy server_all on jarvis.fact_proposals for all to jarvis_server
  using (gym_id = (select jarvis.current_gym())) with check (gym_id = (select jarvis.current_gym()));
grant select, update (state, decided_by, decided_at) on jarvis.fact_proposals to jarvis_server;
grant select on jarvis.fact_proposals to service_role;
grant select, insert, delete on jarvis.fact_proposals to jarvis_writer;

create function jarvis.sorted_words(phrase text) returns text
  language sql stable set search_path = ''
  as $$
    select string_agg(w, '_' order by w) from regexp_split_to_table(split_part(jarvis.slot_form(phrase), '|', 2), '_') as w where w <> ''
  $$;
comment on function jarvis.sorted_words(text) is 'Mots d''une clé dans l''ordre alphabétique, sans pluriels.';

create function jarvis.propose_merge() returns trigger
  language plpgsql security definer set search_path = ''
  as $$
begin
  if tg_op = 'DELETE' then
    delete from jarvis.fact_proposals p where p.gym_id = old.gym_id and old.id in (p.first_fact, p.other_fact);
    return null;
  end if;
  if not new.is_active then
    return null;
  end if;
  insert into jarvis.fact_proposals (gym_id, member_id, first_fact, other_fact, reason)
  select f.gym_id, f.member_id, least(f.id, new.id), greatest(f.id, new.id), alike.reason
    from public.member_facts f
   cross join lateral (
     select case
       when f.slot = new.slot then 'same_slot'
       when f.category = 'injury' and (starts_with(f.slot, new.slot || '.') or starts_with(new.slot, f.slot || '.'))
         and greatest(f.slot, new.slot) ~ '\.(right|left|both)$' then 'side_unknown'
       when jarvis.sorted_words(f.fact_key) = jarvis.sorted_words(new.fact_key) then 'same_words'
       when (f.slot is null or new.slot is null) and f.fact_value = new.fact_value and f.fact_value <> '{}' then 'same_value'
     end as reason) as alike
   where f.gym_id = new.gym_id and f.member_id = new.member_id and f.category = new.category
     and f.id <> new.id and f.is_active and alike.reason is not null
  on conflict do nothing;
  return null;
end
$$;
comment on function jarvis.propose_merge() is 'Déclencheur : propose la fusion de faits qui se ressemblent ; oublie les propositions d''un fait effacé.';
create trigger c40_propose after insert or delete or update of slot, fact_key, is_active on public.member_facts
  for each row execute function jarvis.propose_merge();

-- ---------------------------------------------------------------------------------------------------------------
-- How far the end of a fact has come: asked, then told to the staff, before it is purged
-- ---------------------------------------------------------------------------------------------------------------
create table jarvis.fact_endings (
  fact_id    uuid primary key,
  gym_id     uuid not null default jarvis.current_gym(),
  member_id  uuid not null,
  asked_at   timestamptz,
  alerted_at timestamptz,
  unique (gym_id, fact_id),
  foreign key (gym_id, fact_id) references public.member_facts (gym_id, id) on delete cascade,
  foreign key (gym_id, member_id) references public.gym_members_v2 (gym_id, id) on delete cascade
);
create index fact_endings_member on jarvis.fact_endings (gym_id, member_id);
alter table jarvis.fact_endings enable row level security;
alter table jarvis.fact_endings force row level security;
revoke all on jarvis.fact_endings from public, anon, authenticated, service_role;
comment on table jarvis.fact_endings is 'Où en est la fin d''un fait : demandé au membre, puis signalé, avant d''être purgé.';
comment on column jarvis.fact_endings.fact_id is 'Fait.';
comment on column jarvis.fact_endings.gym_id is 'Salle.';
comment on column jarvis.fact_endings.member_id is 'Membre.';
comment on column jarvis.fact_endings.asked_at is 'Dernière fois que l''assistant a reçu la question à poser.';
comment on column jarvis.fact_endings.alerted_at is 'Moment de l''alerte à la salle.';
create policy server_all on jarvis.fact_endings for all to jarvis_server
  using (gym_id = (select jarvis.current_gym())) with check (gym_id = (select jarvis.current_gym()));
grant select, insert, update (asked_at, alerted_at) on jarvis.fact_endings to jarvis_server;
grant select on jarvis.fact_endings to service_role;

create function jarvis.fact_life(fact public.member_facts, at timestamptz) returns text
  language sql stable set search_path = ''
  as $$
    select case
      when not (fact).is_active then 'retired'
      when (fact).expires_at <= at then 'expired'
      when coalesce((fact).last_confirmed_at, (fact).updated_at) + rules.asks_after <= at then 'stale'
      else 'active' end
      from jarvis.slot_rules((fact).category, (fact).slot) as rules
  $$;
comment on function jarvis.fact_life(public.member_facts, timestamptz) is 'active, stale (à redemander), expired ou retired.';

-- ---------------------------------------------------------------------------------------------------------------
-- Policies, rights, rows that are there, the data map, owners
-- ---------------------------------------------------------------------------------------------------------------
create policy server_select on jarvis.fact_slots for select to jarvis_server using (true);
grant select on jarvis.fact_slots to jarvis_server, service_role;

revoke all on function jarvis.slot_words(), jarvis.slot_form(text), jarvis.slot_word(text, text), jarvis.slot_place(text, text),
  jarvis.slot_substance(text, text, text), jarvis.slot_of(text, text, jsonb), jarvis.slot_rules(text, text),
  jarvis.fill_slot(), jarvis.fill_expiry(), jarvis.by_person(), jarvis.sorted_words(text), jarvis.propose_merge(),
  jarvis.fact_life(public.member_facts, timestamptz)
  from public, anon, authenticated;
grant execute on function jarvis.slot_words(), jarvis.slot_form(text), jarvis.slot_word(text, text), jarvis.slot_place(text, text),
  jarvis.slot_substance(text, text, text), jarvis.by_person(), jarvis.sorted_words(text) to jarvis_writer;
-- Triggers run them with the writer's own rights.
grant execute on function jarvis.slot_of(text, text, jsonb), jarvis.slot_rules(text, text)
   to jarvis_server, authenticated, service_role, jarvis_writer;
grant execute on function jarvis.fact_life(public.member_facts, timestamptz) to jarvis_server, authenticated, service_role;

-- What is there gets its slot, and a month to be asked about, whatever its age.
alter table public.member_facts disable trigger user;
update public.member_facts f
   set slot = coalesce(jarvis.slot_of(f.category, f.fact_key, f.fact_value), f.slot);
update public.member_facts f
   set expires_at = greatest(coalesce(f.last_confirmed_at, f.updated_at) + (jarvis.slot_rules(f.category, f.slot)).lives,
                             now() + interval '30 days')
 where f.expires_at is null;
alter table public.member_facts enable trigger user;

insert into jarvis.data_map (schema_name, table_name, column_name, class, retention, in_export, erased_how)
select m.schema_name, m.table_name, 'confirmed_session_id', m.class, m.retention, m.in_export, m.erased_how
  from jarvis.data_map m where (m.schema_name, m.table_name, m.column_name) = ('public', 'member_facts', 'source_session_id');
insert into jarvis.data_map (schema_name, table_name, column_name, class, retention, in_export, erased_how)
select 'jarvis', t.name, c.name, 'public', 'sans limite', false, 'sans objet (aucun membre)'
  from (values ('fact_slots', array['slot', 'category', 'identity', 'many', 'asks_after', 'lives', 'health'])) as t (name, columns), unnest(t.columns) as c (name);
insert into jarvis.data_map (schema_name, table_name, column_name, class, retention, in_export, erased_how)
select 'jarvis', t.name, c.name, 'personal', 'avec les faits', true, 'avec le membre (cascade) ; oubli d''un fait'
  from (values ('fact_proposals', array['id', 'gym_id', 'member_id', 'first_fact', 'other_fact', 'reason', 'state',
                                        'decided_by', 'decided_at', 'created_at']),
               ('fact_endings', array['fact_id', 'gym_id', 'member_id', 'asked_at', 'alerted_at'])) as t (name, columns),
       unnest(t.columns) as c (name);

alter function jarvis.slot_of(text, text, jsonb) owner to jarvis_writer;
alter function jarvis.slot_rules(text, text) owner to jarvis_writer;
alter function jarvis.propose_merge() owner to jarvis_writer;
revoke create on schema jarvis from jarvis_writer;
