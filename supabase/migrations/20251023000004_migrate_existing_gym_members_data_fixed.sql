-- Data of the predecessor: its table gym_members (57 columns), its conversation logs and its audio events.
--
-- This installs the import and runs it once. On a database without the predecessor's tables there is nothing to do; what
-- arrives later is imported by `jarvis migration legacy --yes`, which calls the same functions. Nothing is taken away
-- here: the predecessor's tables stay until `jarvis migration cleanup`.
--
-- Every source row has one line in jarvis.legacy_rows, which says of every filled cell what became of it. Whatever has
-- no place here, or may not have one yet for want of a consent, waits in jarvis.legacy_held.

set local lock_timeout = '10s';
set local statement_timeout = '2h';
set local search_path = public, extensions;

grant create on schema jarvis to jarvis_writer;

-- ---------------------------------------------------------------------------------------------------------------
-- The three tables of the import
-- ---------------------------------------------------------------------------------------------------------------
create table jarvis.legacy_gyms (
  legacy_gym_id text primary key check (btrim(legacy_gym_id) <> ''),
  gym_id        uuid not null references public.gyms (id) on delete cascade,
  stated_at     timestamptz not null default now()
);
alter table jarvis.legacy_gyms enable row level security;
alter table jarvis.legacy_gyms force row level security;
revoke all on jarvis.legacy_gyms from public, anon, authenticated, service_role;
comment on table jarvis.legacy_gyms is 'Reprise : salle d''ici pour un identifiant de salle du prédécesseur.';
comment on column jarvis.legacy_gyms.legacy_gym_id is 'Identifiant de la salle chez le prédécesseur.';
comment on column jarvis.legacy_gyms.gym_id is 'Salle d''ici.';
comment on column jarvis.legacy_gyms.stated_at is 'Moment où l''opérateur l''a dit.';

create table jarvis.legacy_rows (
  source_table text not null
               check (source_table in ('gym_members', 'jarvis_conversation_logs', 'openai_realtime_audio_events')),
  source_id    text not null,
  fingerprint  text not null,
  outcome      text not null check (outcome in ('imported', 'held', 'refused', 'erased')),
  reason       text,
  gym_id       uuid,
  member_id    uuid,
  cells        jsonb not null default '{}' check (jsonb_typeof(cells) = 'object'),
  imported_at  timestamptz not null default now(),
  primary key (source_table, source_id),
  foreign key (gym_id, member_id) references public.gym_members_v2 (gym_id, id) on delete set null (member_id)
);
create index legacy_rows_member on jarvis.legacy_rows (gym_id, member_id);
alter table jarvis.legacy_rows enable row level security;
alter table jarvis.legacy_rows force row level security;
revoke all on jarvis.legacy_rows from public, anon, authenticated, service_role;
comment on table jarvis.legacy_rows is 'Reprise : une ligne par ligne du prédécesseur, et ce que chaque cellule est devenue.';
comment on column jarvis.legacy_rows.source_table is 'Table du prédécesseur.';
comment on column jarvis.legacy_rows.source_id is 'Identifiant de la ligne chez le prédécesseur.';
comment on column jarvis.legacy_rows.fingerprint is 'Empreinte md5 de la ligne reprise : une ligne changée depuis n''est plus couverte.';
comment on column jarvis.legacy_rows.outcome is 'imported, held (gardée en attente), refused (pas reprise) ou erased (membre effacé depuis).';
comment on column jarvis.legacy_rows.reason is 'Pourquoi la ligne est en attente ou refusée.';
comment on column jarvis.legacy_rows.gym_id is 'Salle.';
comment on column jarvis.legacy_rows.member_id is 'Membre ; vidé avec lui.';
comment on column jarvis.legacy_rows.cells is 'Par colonne remplie : o (devenir), r (raison), m (réparations de texte), s et t (empreintes de la source et de la cible). Aucune valeur.';
comment on column jarvis.legacy_rows.imported_at is 'Moment de la reprise.';

create table jarvis.legacy_held (
  id            bigint generated always as identity primary key,
  gym_id        uuid,
  member_id     uuid,
  source_table  text not null,
  source_id     text not null,
  source_column text not null,
  kind          text not null check (kind in ('fact', 'words', 'value', 'row')),
  reason        text not null check (reason ~ '^[a-z_]+$'),
  needs         text[] not null default '{}' check (needs <@ array['memory', 'health_memory']),
  content       jsonb not null,
  held_at       timestamptz not null default now(),
  unique (gym_id, id),
  foreign key (gym_id, member_id) references public.gym_members_v2 (gym_id, id) on delete cascade
);
create index legacy_held_member on jarvis.legacy_held (gym_id, member_id);
create index legacy_held_source on jarvis.legacy_held (source_table, source_id);
alter table jarvis.legacy_held enable row level security;
alter table jarvis.legacy_held force row level security;
revoke all on jarvis.legacy_held from public, anon, authenticated, service_role;
comment on table jarvis.legacy_held is 'Reprise : ce qui attend un consentement, ou n''a pas de place ailleurs. Jamais lu par l''assistant.';
comment on column jarvis.legacy_held.id is 'Numéro.';
comment on column jarvis.legacy_held.gym_id is 'Salle, si elle est connue.';
comment on column jarvis.legacy_held.member_id is 'Membre, s''il est connu ; la ligne disparaît avec lui.';
comment on column jarvis.legacy_held.source_table is 'Table du prédécesseur.';
comment on column jarvis.legacy_held.source_id is 'Identifiant de la ligne chez le prédécesseur.';
comment on column jarvis.legacy_held.source_column is 'Colonne d''origine, * pour toute la ligne.';
comment on column jarvis.legacy_held.kind is 'fact, words (paroles d''un événement), value ou row.';
comment on column jarvis.legacy_held.reason is 'Pourquoi : no_consent, encoding_doubtful, value_unfit, rounded, superseded, badge_taken, no_place ou member_unknown.';
comment on column jarvis.legacy_held.needs is 'Consentements qui la libèrent ; vide : gardée telle quelle.';
comment on column jarvis.legacy_held.content is 'Contenu gardé.';
comment on column jarvis.legacy_held.held_at is 'Moment de la mise en attente.';

-- What remains of an erased member is that the row is not to be imported again.
create function jarvis.legacy_row_erased() returns trigger
  language plpgsql set search_path = ''
  as $$
begin
  new.outcome := 'erased';
  new.reason := null;
  new.fingerprint := '';
  new.cells := '{}';
  return new;
end
$$;
comment on function jarvis.legacy_row_erased() is 'Déclencheur : d''un membre effacé, la reprise ne garde que le fait qu''il ne doit pas revenir.';
create trigger a10_erased before update of member_id on jarvis.legacy_rows
  for each row when (old.member_id is not null and new.member_id is null) execute function jarvis.legacy_row_erased();

-- ---------------------------------------------------------------------------------------------------------------
-- Double-encoded text: UTF-8 that was read as Windows-1252 and written as UTF-8 again, once or more often
-- ---------------------------------------------------------------------------------------------------------------
create function jarvis.legacy_byte(letter text) returns integer
  language sql immutable strict parallel safe
  return case
    when ascii(letter) between 128 and 255 then ascii(letter)
    -- Windows-1252, 0x80 to 0x9F; its five holes come through as control characters.
    else 127 + array_position(array[8364, 129, 8218, 402, 8222, 8230, 8224, 8225, 710, 8240, 352, 8249, 338, 141, 381, 143,
                                    144, 8216, 8217, 8220, 8221, 8226, 8211, 8212, 732, 8482, 353, 8250, 339, 157, 382, 376],
                              ascii(letter)) end;
comment on function jarvis.legacy_byte(text) is 'Octet Windows-1252 d''un caractère non ASCII, ou null.';

create type jarvis.legacy_decoded as (found text, width integer, sure boolean);
comment on type jarvis.legacy_decoded is 'Caractère décodé, sa longueur dans le texte, et si c''est certain.';

-- The character that stands double-encoded at this place, its length there, and whether that is beyond doubt. Ordinary
-- text has such sequences too: a word in capitals before a closing quotation mark (« CAFÉ »), so only characters that
-- are written in Europe count, and a mark of punctuation behind a capital counts only inside a word.
create function jarvis.legacy_sequence(letters text[], at integer) returns jarvis.legacy_decoded
  language plpgsql immutable parallel safe set search_path = ''
  as $$
declare
  b integer[] := array[jarvis.legacy_byte(letters[at]), jarvis.legacy_byte(letters[at + 1]),
                       jarvis.legacy_byte(letters[at + 2]), jarvis.legacy_byte(letters[at + 3])];
  code integer;
  width integer;
  sure boolean;
  before text := coalesce(letters[at - 1], '');
  behind text;
begin
  width := case when b[1] between 194 and 223 then 2 when b[1] between 225 and 239 then 3
                when b[1] between 240 and 244 then 4 end;
  if width is null or exists (select from generate_series(2, width) as n where b[n] is null or b[n] not between 128 and 191) then
    return null;
  end if;
  code := case width
    when 2 then (b[1] & 31) * 64 + (b[2] & 63)
    when 3 then (b[1] & 15) * 4096 + (b[2] & 63) * 64 + (b[3] & 63)
    else (b[1] & 7) * 262144 + (b[2] & 63) * 4096 + (b[3] & 63) * 64 + (b[4] & 63) end;
  behind := coalesce(letters[at + width], '');
  sure := case
    when b[1] between 194 and 197 then
      -- Control characters only where a second round needs them: the holes of Windows-1252.
      case when code between 128 and 159 and not code = any (array[129, 141, 143, 144, 157]) then null
           when b[1] > 195 and letters[at + 1] ~ '[ŠŽŒŸ]' then before !~ '[A-ZÀ-ÖØ-ÞŒŠŽŸ]'
           when letters[at + 1] !~ '[»«‹›‘’‚“”„…–—\u00A0¡¿]' then true
           when before ~ '[A-ZÀ-ÖØ-ÞŒŠŽŸŁŘČĎŇŤŮ“«„‘‹(]' then behind ~ '[A-ZÀ-ÖØ-ÞŒŠŽŸ]'
           when before ~ '[A-Za-zÀ-ÖØ-öø-ɏ]' then true
           else b[1] in (194, 195) and (letters[at + 1] = U&'\00A0' or behind ~ '[A-Za-zÀ-ÖØ-öø-ɏ]') end
    -- The letters of Windows-1252 itself, out of a second round.
    when code in (402, 710, 732) and before ~ '[\u0080-\u00BF€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]' then true
    -- Two of another script side by side are no accident, one may be: « ÉTÉ».
    when width = 2 and code between 384 and 2047 then
      case when coalesce(letters[at + 2] ~ '[Æ-ß]' and jarvis.legacy_byte(letters[at + 3]) between 128 and 191
                         and letters[at + 1] || letters[at + 3] !~ '^[ŠŽŒŸ»«‹›‘’‚“”„…–—\u00A0¡¿]*$', false)
             or coalesce(letters[at - 2] ~ '[Æ-ß]' and jarvis.legacy_byte(letters[at - 1]) between 128 and 191
                         and letters[at - 1] || letters[at + 1] !~ '^[ŠŽŒŸ»«‹›‘’‚“”„…–—\u00A0¡¿]*$', false) then true end
    when width = 3 and letters[at + 1] ~ '[šœž]' and letters[at + 2] ~ '[šœž]' then null
    when code between 8208 and 8286 or code in (8364, 8482) or code between 8592 and 8703 or code between 9728 and 10175
      or code in (65039, 65279, 8203, 8205) or code between 127744 and 131071 then true
    when code between 7840 and 7935 then before ~ '[A-Za-zÀ-ÖØ-öø-ɏ]' and behind ~ '[a-zà-öø-ÿ]' end;
  return case when sure is not null then row (chr(code), width, sure)::jarvis.legacy_decoded end;
end
$$;
comment on function jarvis.legacy_sequence(text[], integer) is 'Caractère doublement encodé à cette place, sa longueur, et si c''est certain.';

create function jarvis.legacy_mend(phrase text, out mended text, out times integer, out doubtful boolean)
  language plpgsql immutable parallel safe set search_path = ''
  as $$
declare
  letters text[];
  one jarvis.legacy_decoded;
  sure_here boolean;
  unsure_here boolean;
  built text;
  at integer;
begin
  mended := phrase;
  times := 0;
  doubtful := false;
  while mended ~ '[Â-ßá-ô][\u0080-\u00BF€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]' and times < 5 loop
    letters := string_to_array(mended, null);
    sure_here := false;
    unsure_here := false;
    built := '';
    at := 1;
    while at <= cardinality(letters) loop
      one := case when ascii(letters[at]) between 194 and 244 then jarvis.legacy_sequence(letters, at) end;
      if one.width is null then
        built := built || letters[at];
        at := at + 1;
      else
        sure_here := sure_here or one.sure;
        unsure_here := unsure_here or not one.sure;
        built := built || one.found;
        at := at + one.width;
      end if;
    end loop;
    if not sure_here then
      doubtful := unsure_here;
      exit;
    end if;
    mended := built;
    times := times + 1;
  end loop;
  -- Mended in part: what is left was of the same kind.
  doubtful := doubtful or times > 0 and mended ~ 'Ëœ|[Â-ß][\u0080-\u009F¢-ª¬-ºƒ†‡ˆ‰•˜™€]';
  -- Half a sequence: the other half was lost on the way, and what it said cannot be known.
  doubtful := doubtful or mended ~ '\uFFFD|â€|(^|[^A-ZÀ-ÖØ-ÞŒŠŽŸ])[ÃÂ]([^A-Za-zÀ-ÖØ-öø-ÿŒœŠšŽžŸ]|$)';
end
$$;
comment on function jarvis.legacy_mend(text) is 'Texte réparé s''il était encodé deux fois ou plus, nombre de tours, et doute : un texte douteux n''est pas écrit.';

-- ---------------------------------------------------------------------------------------------------------------
-- Reading a predecessor's cell, whatever its type was
-- ---------------------------------------------------------------------------------------------------------------
create function jarvis.legacy_filled(cell jsonb) returns boolean
  language sql immutable parallel safe
  return cell is not null and cell not in ('null', '[]', '{}') and btrim(coalesce(cell #>> '{}', '')) <> '';
comment on function jarvis.legacy_filled(jsonb) is 'Vrai si une cellule du prédécesseur dit quelque chose.';

-- A list as text[], as jsonb, as JSON or as an array literal in a text column; anything else is a list of one.
create function jarvis.legacy_items(cell jsonb) returns jsonb
  language plpgsql immutable parallel safe set search_path = ''
  as $$
declare
  words constant text := btrim(cell #>> '{}');
  parsed jsonb;
begin
  if jsonb_typeof(cell) = 'string' and words ~ '^[\[{"]' then
    begin
      parsed := words::jsonb;
    exception when others then
      begin
        if words ~ '^\{.*\}$' then
          parsed := to_jsonb(words::text[]);
        end if;
      exception when others then
        parsed := null;
      end;
    end;
  end if;
  parsed := coalesce(parsed, cell);
  if jsonb_typeof(parsed) <> 'array' then
    parsed := jsonb_build_array(parsed);
  end if;
  return coalesce((select jsonb_agg(distinct e) from jsonb_array_elements(parsed) as e where jarvis.legacy_filled(e)), '[]');
end
$$;
comment on function jarvis.legacy_items(jsonb) is 'Éléments d''une cellule qui est une liste sous une forme ou une autre.';

create function jarvis.legacy_object(cell jsonb) returns jsonb
  language plpgsql immutable parallel safe set search_path = ''
  as $$
declare
  parsed jsonb := cell;
begin
  if jsonb_typeof(cell) = 'string' then
    parsed := (cell #>> '{}')::jsonb;
  end if;
  return case when jsonb_typeof(parsed) = 'object' then parsed end;
exception when others then
  return null;
end
$$;
comment on function jarvis.legacy_object(jsonb) is 'L''objet JSON d''une cellule, ou null.';

-- What an element says in words.
create function jarvis.legacy_words(item jsonb) returns text
  language sql immutable parallel safe set search_path = ''
  as $$
    select case jsonb_typeof(item)
      when 'object' then coalesce(item ->> 'name', item ->> 'title', item ->> 'goal', item ->> 'description', item ->> 'label',
                                  (select string_agg(e.key || ' : ' || e.value, ', ' order by e.key) from jsonb_each_text(item) as e))
      else btrim(item #>> '{}') end
  $$;
comment on function jarvis.legacy_words(jsonb) is 'Un élément, en mots.';

-- The value as its new column takes it, or null when it does not fit. Never an error, never a guess.
create function jarvis.legacy_fit(kind text, cell jsonb) returns text
  language plpgsql stable set search_path = ''
  as $$
declare
  words constant text := btrim(cell #>> '{}');
  folded constant text := lower(words);
  number numeric;
  day date;
begin
  case kind
    when 'text' then
      return words;
    when 'email' then
      return case when words ~* '^[^@\s]+@[^@\s]+\.[^@\s]+$' then words end;
    when 'phone' then
      return case when words ~ '^[+(]?[0-9][0-9 .()/-]{4,28}$' then words end;
    when 'gender' then
      return case
        when folded in ('male', 'm', 'h', 'homme', 'masculin') then 'male'
        when folded in ('female', 'f', 'femme', 'féminin', 'feminin') then 'female'
        when folded in ('other', 'autre') then 'other'
        when folded in ('prefer_not_to_say', 'prefer not to say', 'non précisé') then 'prefer_not_to_say' end;
    when 'boolean' then
      return case when folded in ('true', 't', '1', 'yes', 'oui', 'vrai') then 'true'
                  when folded in ('false', 'f', '0', 'no', 'non', 'faux') then 'false' end;
    when 'birth', 'date' then
      if words !~ '^\d{4}-\d{2}-\d{2}' then
        return null;
      end if;
      day := left(words, 10)::date;
      return case when day >= date '1900-01-01' and day <= case kind when 'birth' then current_date else date '2200-01-01' end
                  then day::text end;
    when 'time', 'past' then
      if words !~ '^\d{4}-\d{2}-\d{2}' or (kind = 'past' and words::timestamptz > now() + interval '1 day')
         or words::timestamptz not between '1900-01-01' and '2200-01-01' then
        return null;
      end if;
      return words::timestamptz::text;
    when 'measure', 'percentage', 'weekly', 'minutes', 'count' then
      number := replace(words, ',', '.')::numeric;
      return case kind
        when 'measure' then case when round(number, 2) > 0 and round(number, 2) < 1000 then round(number, 2)::text end
        when 'percentage' then case when number between 0 and 100 then round(number, 2)::text end
        when 'weekly' then case when number between 0 and 7 and number = trunc(number) then trunc(number)::text end
        when 'minutes' then case when number between 1 and 300 and number = trunc(number) then trunc(number)::text end
        else case when number between 0 and 1000000 and number = trunc(number) then trunc(number)::text end end;
    when 'level' then
      return case when folded in ('beginner', 'débutant', 'debutant') then 'beginner'
                  when folded in ('intermediate', 'intermédiaire', 'intermediaire') then 'intermediate'
                  when folded in ('advanced', 'avancé', 'avance') then 'advanced'
                  when folded = 'expert' then 'expert' end;
    when 'tone' then
      return case folded when 'formal' then 'direct' when 'friendly' then 'friendly' when 'casual' then 'friendly'
                         when 'motivational' then 'encouraging' when 'humorous' then 'energetic' end;
    when 'feedback' then
      return case folded when 'direct' then 'challenging' when 'encouraging' then 'motivating'
                         when 'detailed' then 'technical' when 'brief' then 'gentle' end;
    when 'language' then
      return case when left(folded, 2) in ('fr', 'en', 'es', 'de', 'it') and folded ~ '^[a-z]{2}([-_][a-z]{2})?$' then left(folded, 2)
                  when folded in ('français', 'francais', 'french') then 'fr' when folded in ('english', 'anglais') then 'en'
                  when folded in ('español', 'espagnol', 'spanish') then 'es' when folded in ('deutsch', 'allemand', 'german') then 'de'
                  when folded in ('italiano', 'italien', 'italian') then 'it' end;
    else
      raise exception 'no such kind of value: %', kind;
  end case;
exception
  when data_exception then
    return null;
end
$$;
comment on function jarvis.legacy_fit(text, jsonb) is 'Valeur telle que la nouvelle colonne la prend, ou null si elle n''y entre pas.';

-- "06:30-08:00" and the words for it; what is not understood is in the fact that keeps the original.
create function jarvis.legacy_times_of_day(cell jsonb) returns jsonb
  language sql immutable parallel safe set search_path = ''
  as $$
    select jsonb_build_object(
             'morning', coalesce(bool_or(begins < 720 or said ~* 'morning|matin'), false),
             'afternoon', coalesce(bool_or(begins < 1080 and ends > 720 or said ~* 'afternoon|apr[eè]s-?midi|noon|midi'), false),
             'evening', coalesce(bool_or(ends > 1080 or said ~* 'evening|night|soir|nuit'), false))
      from (select item #>> '{}' as said,
                   part[1]::integer * 60 + part[2]::integer as begins,
                   case when part[3]::integer * 60 + part[4]::integer > part[1]::integer * 60 + part[2]::integer
                        then part[3]::integer * 60 + part[4]::integer else 1440 end as ends
              from jsonb_array_elements(jarvis.legacy_items(cell)) as item
              left join lateral regexp_match(item #>> '{}', '^\s*(\d{1,2})[:h](\d{2})\s*[-–à]\s*(\d{1,2})[:h](\d{2})\s*$') as part on true) as ranges
  $$;
comment on function jarvis.legacy_times_of_day(jsonb) is 'Matin, après-midi, soir d''après des plages horaires.';

create function jarvis.legacy_table(source_table text) returns regclass
  language sql stable set search_path = ''
  as $$
    select c.oid::regclass from pg_catalog.pg_class c
     where c.relnamespace = 'public'::regnamespace and c.relname = source_table and c.relkind in ('r', 'p')
       and source_table in ('gym_members', 'jarvis_conversation_logs', 'openai_realtime_audio_events')
  $$;
comment on function jarvis.legacy_table(text) is 'La table du prédécesseur si elle existe.';

-- Identifiers that come twice, or not at all, are told apart by the row's content. The settings decide how a row is
-- written out, and so its fingerprint.
create function jarvis.legacy_source(source_table text)
  returns table (source_id text, fingerprint text, raw jsonb)
  language plpgsql stable set search_path = '' set timezone = 'UTC' set bytea_output = 'hex' set extra_float_digits = 1
  as $$
begin
  if jarvis.legacy_table(source_table) is null then
    return;
  end if;
  return query execute format($query$
    select left(coalesce(r.raw ->> 'id', 'row-' || r.mark), 150)
             || case when r.nth > 1 then '#' || r.nth else '' end, r.mark, r.raw
      from (select s.raw, s.mark, row_number() over (partition by s.raw ->> 'id' order by s.mark) as nth
              from (select to_jsonb(t) as raw, md5(to_jsonb(t)::text) as mark from %s t) as s) as r
    $query$, jarvis.legacy_table(source_table));
end
$$;
comment on function jarvis.legacy_source(text) is 'Lignes d''une table du prédécesseur, avec identifiant et empreinte.';

-- ---------------------------------------------------------------------------------------------------------------
-- What waits for a consent goes on when it is given: at the import, and whenever the ledger says so
-- ---------------------------------------------------------------------------------------------------------------
create function jarvis.legacy_release(gym uuid, member uuid) returns integer
  language plpgsql security definer set search_path = ''
  as $$
declare
  agreed text[];
  fact jsonb;
  released integer;
begin
  if not exists (select from jarvis.legacy_held h where h.gym_id = gym and h.member_id = member and h.needs <> '{}') then
    return 0;
  end if;
  select array_agg(p) into agreed from unnest(array['memory', 'health_memory']) as p
   where jarvis.consent_given(gym, member, p);
  if agreed is null then
    return 0;
  end if;
  for fact in
    select h.content from jarvis.legacy_held h
     where h.gym_id = gym and h.member_id = member and h.kind = 'fact' and h.needs <@ agreed order by h.id
  loop
    insert into public.member_facts (gym_id, member_id, category, fact_key, fact_value, confidence)
    values (gym, member, fact ->> 'category', fact ->> 'fact_key', fact -> 'fact_value', 0.5)
    on conflict (member_id, category, fact_key) do update set fact_value = excluded.fact_value;
  end loop;
  update public.conversation_events e
     set transcript = h.content ->> 'transcript', tool_args = nullif(h.content -> 'tool_args', 'null')
    from jarvis.legacy_held h
   where h.gym_id = gym and h.member_id = member and h.kind = 'words' and h.needs <@ agreed
     and e.gym_id = gym and e.id = (h.content ->> 'event_id')::uuid;
  -- Now there is something to remember: these conversations are processed.
  update public.conversation_sessions s
     set state = 'closing', state_reason = null, attempts = 0
   where s.gym_id = gym and s.state in ('empty', 'processed')
     and s.session_id in (select e.session_id from jarvis.legacy_held h
                            join public.conversation_events e on e.gym_id = gym and e.id = (h.content ->> 'event_id')::uuid
                           where h.gym_id = gym and h.member_id = member and h.kind = 'words' and h.needs <@ agreed
                             and h.content ->> 'event_type' = 'user_transcript');
  with gone as (
    delete from jarvis.legacy_held h
     where h.gym_id = gym and h.member_id = member and h.needs <> '{}' and h.needs <@ agreed
    returning h.source_table, h.source_id, h.source_column
  ), source as (
    select g.source_table, g.source_id, array_agg(g.source_column) as columns from gone g group by g.source_table, g.source_id
  )
  update jarvis.legacy_rows r
     set cells = (select jsonb_object_agg(c.key, case
                           when c.value ->> 'r' = 'no_consent' and array[c.key, '*'] && source.columns
                            -- A column may hold health beside other things.
                            and not exists (select from jarvis.legacy_held h
                                             where h.source_table = r.source_table and h.source_id = r.source_id
                                               and h.source_column = c.key and not h.needs <@ agreed)
                           then (c.value - 'r') || '{"o": "imported"}' else c.value end) from jsonb_each(r.cells) as c)
    from source
   where r.source_table = source.source_table and r.source_id = source.source_id;
  get diagnostics released = row_count;
  return released;
end
$$;
comment on function jarvis.legacy_release(uuid, uuid) is 'Libère ce que les consentements d''un membre permettent : faits et paroles repris.';

create function jarvis.legacy_consented() returns trigger
  language plpgsql security definer set search_path = ''
  as $$
begin
  if not jarvis.is_elsewhere(new.gym_id) then
    perform jarvis.legacy_release(new.gym_id, new.member_id);
  end if;
  return null;
end
$$;
comment on function jarvis.legacy_consented() is 'Déclencheur : un accord libère ce que la reprise gardait en attente.';
create trigger c30_legacy after insert on jarvis.consent_ledger
  for each row when (new.granted) execute function jarvis.legacy_consented();

grant select, delete on jarvis.legacy_held to jarvis_writer;
grant select, update (cells) on jarvis.legacy_rows to jarvis_writer;
grant insert, update on public.member_facts to jarvis_writer;
grant select (id), update (transcript, tool_args) on public.conversation_events to jarvis_writer;
grant update (state_reason) on public.conversation_sessions to jarvis_writer;

-- ---------------------------------------------------------------------------------------------------------------
-- Where each column goes
-- ---------------------------------------------------------------------------------------------------------------
-- Columns that become one column here; source columns of variants stand beside the usual ones.
create function jarvis.legacy_columns()
  returns table (source_column text, target_table text, target_column text, kind text)
  language sql immutable parallel safe set search_path = ''
  as $$
    values
      ('first_name', 'gym_members_v2', 'first_name', 'text'), ('last_name', 'gym_members_v2', 'last_name', 'text'),
      ('email', 'gym_members_v2', 'email', 'email'), ('phone', 'gym_members_v2', 'phone', 'phone'),
      ('date_of_birth', 'gym_members_v2', 'date_of_birth', 'birth'), ('gender', 'gym_members_v2', 'gender', 'gender'),
      ('profile_photo_url', 'gym_members_v2', 'profile_photo_url', 'text'),
      ('membership_type', 'gym_members_v2', 'membership_type', 'text'),
      ('member_since', 'gym_members_v2', 'member_since', 'date'),
      ('membership_expires', 'gym_members_v2', 'membership_expires', 'date'),
      ('is_active', 'gym_members_v2', 'is_active', 'boolean'),
      ('can_use_jarvis', 'gym_members_v2', 'can_use_jarvis', 'boolean'),
      ('created_at', 'gym_members_v2', 'created_at', 'time'), ('updated_at', 'gym_members_v2', 'updated_at', 'time'),
      ('height_cm', 'member_fitness_profile', 'height_cm', 'measure'),
      ('current_weight_kg', 'member_fitness_profile', 'current_weight_kg', 'measure'),
      ('target_weight_kg', 'member_fitness_profile', 'target_weight_kg', 'measure'),
      ('body_fat_percentage', 'member_fitness_profile', 'body_fat_percentage', 'percentage'),
      ('fitness_level', 'member_fitness_profile', 'fitness_level', 'level'),
      ('workout_frequency_per_week', 'member_fitness_profile', 'workout_frequency_per_week', 'weekly'),
      ('preferred_workout_duration', 'member_fitness_profile', 'preferred_workout_duration', 'minutes'),
      ('communication_style', 'member_preferences', 'communication_style', 'tone'),
      ('preferred_feedback_style', 'member_preferences', 'feedback_style', 'feedback'),
      ('language', 'member_preferences', 'language', 'language'),
      ('voice_preference', 'member_preferences', 'voice_preference', 'text')
  $$;
comment on function jarvis.legacy_columns() is 'Reprise : colonnes qui deviennent une colonne, et leur nature.';

-- Columns that become facts. Health needs its own consent, whatever the predecessor called it.
create function jarvis.legacy_fact_columns()
  returns table (source_column text, category text, kind text)
  language sql immutable parallel safe set search_path = ''
  as $$
    values
      ('current_goals', 'goal', null), ('completed_goals', 'progress', null),
      ('medical_conditions', 'concern', 'condition'), ('allergies', 'concern', 'allergy'),
      ('medications', 'concern', 'medication'), ('medical_notes', 'concern', 'health'),
      ('injuries', 'injury', 'injury'), ('requires_assistance', 'concern', 'disability'),
      ('dietary_restrictions', 'preference', null), ('favorite_equipment', 'preference', null),
      ('avoided_equipment', 'preference', null), ('music_preferences', 'preference', null),
      ('social_preference', 'preference', null), ('motivation_type', 'preference', null),
      ('coaching_interest', 'preference', null), ('conversation_topics_of_interest', 'preference', null),
      -- Their old words are kept beside the columns they were mapped to.
      ('workout_style', 'preference', null), ('preferred_workout_times', 'preference', null),
      ('communication_style', 'preference', null), ('preferred_feedback_style', 'preference', null),
      ('fitness_level', 'preference', null)
  $$;
comment on function jarvis.legacy_fact_columns() is 'Reprise : colonnes qui deviennent des faits, leur catégorie et leur nature.';

create function jarvis.legacy_fact(source_column text, category text, kind text, item jsonb) returns jsonb
  language sql immutable parallel safe set search_path = ''
  as $$
    select jsonb_build_object(
             'category', category,
             'fact_key', left('legacy_' || source_column, 180) || '_' || left(md5(item::text), 8),
             'fact_value', jsonb_strip_nulls(jsonb_build_object('legacy_column', source_column) || case category
               when 'goal' then jsonb_build_object('kind', 'legacy', 'target', said)
               when 'progress' then jsonb_build_object('metric', said)
               when 'injury' then jsonb_build_object('kind', kind, 'detail', said)
               when 'concern' then jsonb_build_object('kind', kind, 'subject', source_column, 'detail', said, 'sensitivity', 'health')
               else jsonb_build_object('subject', source_column, 'detail', said) end
             || case when jsonb_typeof(item) = 'string' then '{}' else jsonb_build_object('legacy', item) end))
      from (select jarvis.legacy_words(item) as said) as words
  $$;
comment on function jarvis.legacy_fact(text, text, text, jsonb) is 'Reprise : le fait d''un élément de liste.';

create function jarvis.legacy_hold(gym uuid, member uuid, source_table text, source_id text, source_column text, kind text,
                                   reason text, needs text[], content jsonb) returns void
  language sql set search_path = ''
  as $$
    insert into jarvis.legacy_held (gym_id, member_id, source_table, source_id, source_column, kind, reason, needs, content)
    values (gym, member, source_table, source_id, source_column, kind, reason, needs, content)
  $$;
comment on function jarvis.legacy_hold(uuid, uuid, text, text, text, text, text, text[], jsonb) is 'Reprise : met de côté.';

create function jarvis.legacy_hold_fact(gym uuid, member uuid, source_id text, source_column text, fact jsonb) returns void
  language sql set search_path = ''
  as $$
    select jarvis.legacy_hold(gym, member, 'gym_members', source_id, source_column, 'fact', 'no_consent',
             case when jarvis.is_health_fact(fact ->> 'category', fact ->> 'fact_key', fact -> 'fact_value', null)
                  then array['memory', 'health_memory'] else array['memory'] end, fact)
  $$;
comment on function jarvis.legacy_hold_fact(uuid, uuid, text, text, jsonb) is 'Reprise : met un fait de côté jusqu''au consentement.';

create function jarvis.legacy_refuse(source_table text, source_id text, fingerprint text, reason text) returns void
  language sql set search_path = ''
  as $$
    insert into jarvis.legacy_rows (source_table, source_id, fingerprint, outcome, reason)
    values (source_table, source_id, fingerprint, 'refused', reason)
    on conflict (source_table, source_id) do update
       set fingerprint = excluded.fingerprint, outcome = 'refused', reason = excluded.reason, imported_at = now()
  $$;
comment on function jarvis.legacy_refuse(text, text, text, text) is 'Reprise : note qu''une ligne n''est pas reprise, et pourquoi.';

-- Mends every cell; those in doubt are named, with how often each was mended.
create function jarvis.legacy_mend_row(raw jsonb, out mended jsonb, out times jsonb, out doubtful text[])
  language sql immutable parallel safe set search_path = ''
  as $$
    -- A JSON text holds no raw control character below U+0020, and mending makes none.
    select coalesce(jsonb_object_agg(c.key, case when m.times > 0 then m.mended::jsonb else c.value end), '{}'),
           coalesce(jsonb_object_agg(c.key, m.times) filter (where m.times > 0), '{}'),
           coalesce(array_agg(c.key) filter (where m.doubtful), '{}')
      from jsonb_each(raw) as c cross join lateral jarvis.legacy_mend(c.value::text) as m
     where jarvis.legacy_filled(c.value)
  $$;
comment on function jarvis.legacy_mend_row(jsonb) is 'Reprise : répare le texte d''une ligne ; rend aussi les cellules douteuses.';

create function jarvis.legacy_gym(legacy_gym_id text) returns uuid
  language sql stable set search_path = ''
  as $$
    select coalesce((select s.gym_id from jarvis.legacy_gyms s where s.legacy_gym_id = btrim(legacy_gym.legacy_gym_id)),
                    (select g.id from public.gyms g where g.id::text = lower(btrim(legacy_gym.legacy_gym_id))))
  $$;
comment on function jarvis.legacy_gym(text) is 'Reprise : la salle d''ici, dite par l''opérateur ou de même identifiant.';

-- Values for one row of one table. A value somebody else has written since the last import stays; the predecessor's is
-- put aside then. Returns the cells.
create function jarvis.legacy_write(gym uuid, member uuid, source_id text, target text, fresh boolean, wanted jsonb,
                                    cells jsonb, prior jsonb) returns jsonb
  language plpgsql set search_path = ''
  as $$
declare
  key constant text := case target when 'gym_members_v2' then 'id' else 'member_id' end;
  present jsonb;
  column_list text;
  rule record;
  taken jsonb := '{}';
begin
  if wanted = '{}' then
    return cells;
  end if;
  if target <> 'gym_members_v2' then
    execute format('insert into public.%I (gym_id, member_id) values ($1, $2) on conflict (member_id) do nothing', target)
      using gym, member;
    fresh := fresh or found;
  end if;
  execute format('select to_jsonb(t) from public.%I t where gym_id = $1 and %I = $2', target, key) into present using gym, member;
  for rule in select w.key as target_column, w.value ->> 'v' as value, w.value ->> 'c' as source_column from jsonb_each(wanted) as w loop
    if fresh or present ->> rule.target_column is null or present ->> rule.target_column = rule.value
       or md5(present ->> rule.target_column) = prior -> rule.source_column ->> 't' then
      taken := taken || jsonb_build_object(rule.target_column, case
        when rule.target_column in ('primary_goals', 'preferred_workout_times') then rule.value::jsonb else to_jsonb(rule.value) end);
    else
      perform jarvis.legacy_hold(gym, member, 'gym_members', source_id, rule.source_column, 'value', 'superseded', '{}', to_jsonb(rule.value));
      cells := jsonb_set(cells, array[rule.source_column], cells -> rule.source_column || '{"o": "held", "r": "superseded"}');
      -- Both are in the text that was put aside.
      if rule.target_column = 'member_notes' and cells ? 'emergency_contact' then
        cells := jsonb_set(cells, '{emergency_contact}', cells -> 'emergency_contact' || '{"o": "held", "r": "superseded"}');
      end if;
    end if;
  end loop;
  if taken <> '{}' then
    select string_agg(format('%I', k), ', ') into column_list from jsonb_object_keys(taken) as k;
    execute format('update public.%1$I t set (%2$s) = (select %2$s from jsonb_populate_record(null::public.%1$I, $1))
                     where gym_id = $2 and %3$I = $3', target, column_list, key)
      using taken, gym, member;
    execute format('select to_jsonb(t) from public.%I t where gym_id = $1 and %I = $2', target, key) into present using gym, member;
    for rule in select w.key as target_column, w.value ->> 'c' as source_column from jsonb_each(wanted) as w where taken ? w.key loop
      cells := jsonb_set(cells, array[rule.source_column, 't'], to_jsonb(md5(present ->> rule.target_column)));
    end loop;
  end if;
  return cells;
end
$$;
comment on function jarvis.legacy_write(uuid, uuid, text, text, boolean, jsonb, jsonb, jsonb) is 'Reprise : écrit des colonnes sans écraser ce qui a changé depuis.';

-- The badge as it is kept here. Two members of a gym cannot have one badge: the second keeps it with a number behind, and
-- reception settles it.
create function jarvis.legacy_badge(gym uuid, member uuid, wished text) returns text
  language plpgsql stable set search_path = ''
  as $$
declare
  candidate text := case when wished <> '' and length(wished) <= 120 then wished else 'legacy-' || member end;
  n integer := 1;
begin
  while exists (select from public.gym_members_v2 m
                 where m.gym_id = gym and m.id <> member and lower(btrim(m.badge_id)) = lower(candidate)) loop
    n := n + 1;
    candidate := wished || '#' || n;
  end loop;
  return candidate;
end
$$;
comment on function jarvis.legacy_badge(uuid, uuid, text) is 'Reprise : le badge d''un membre, numéroté s''il est déjà pris dans la salle.';

-- Visits so far: an opening balance for what neither visits here nor an earlier import account for.
create function jarvis.legacy_open_balance(gym uuid, member uuid, total integer, last timestamptz, since timestamptz) returns boolean
  language plpgsql set search_path = ''
  as $$
declare
  present record;
  missing integer;
begin
  select m.last_visit, m.total_visits,
         coalesce((select sum(v.quantity) from public.member_visits v where v.gym_id = gym and v.member_id = member), 0)::integer as visits,
         coalesce((select sum(v.quantity) from public.member_visits v
                    where v.gym_id = gym and v.member_id = member and v.source = 'opening_balance'), 0)::integer as opened
    into present from public.gym_members_v2 m where m.gym_id = gym and m.id = member;
  missing := coalesce(total, 0) - (present.total_visits - present.visits) - present.opened;
  if missing < 0 and total is not null then
    return false;
  end if;
  if missing > 0 or last > coalesce(present.last_visit, '-infinity') then
    insert into public.member_visits (gym_id, member_id, visited_at, source, quantity)
    values (gym, member, coalesce(last, present.last_visit, since), 'opening_balance', greatest(missing, 0));
    -- Without a date the balance says how often, not when.
    if last is null then
      update public.gym_members_v2 m set last_visit = present.last_visit where m.gym_id = gym and m.id = member;
    end if;
  end if;
  return true;
end
$$;
comment on function jarvis.legacy_open_balance(uuid, uuid, integer, timestamptz, timestamptz) is 'Reprise : solde d''ouverture des visites ; faux si moins de visites que déjà comptées.';

-- Measures of the predecessor, on the last free day before today, where no day computed here can fall on them.
create function jarvis.legacy_history(gym uuid, member uuid, measured date, measures jsonb) returns void
  language plpgsql set search_path = ''
  as $$
declare
  free date := least(measured, current_date - 2);
begin
  update jarvis.member_analytics_history h set data = h.data || measures
   where h.gym_id = gym and h.member_id = member and h.source = 'legacy';
  if not found then
    while exists (select from jarvis.member_analytics_history h where h.gym_id = gym and h.member_id = member and h.day = free) loop
      free := free - 1;
    end loop;
    insert into jarvis.member_analytics_history (gym_id, member_id, day, data, source) values (gym, member, free, measures, 'legacy');
  end if;
end
$$;
comment on function jarvis.legacy_history(uuid, uuid, date, jsonb) is 'Reprise : mesures du prédécesseur dans l''historique, marquées legacy.';

-- Cells that are lists, preferences or health: facts that wait for their consent. Returns the cells.
create function jarvis.legacy_hold_facts(gym uuid, member uuid, source_id text, mended jsonb, todo text[], cells jsonb) returns jsonb
  language plpgsql set search_path = ''
  as $$
declare
  rule record;
  item jsonb;
  about text;
  preferences constant jsonb := jarvis.legacy_object(mended -> 'member_preferences');
begin
  for rule in select * from jarvis.legacy_fact_columns() as c where c.source_column = any (todo) loop
    -- Where the word itself was taken over, there is no old word to keep.
    if rule.source_column = 'fitness_level'
       and jarvis.legacy_fit('level', mended -> 'fitness_level') = lower(btrim(mended ->> 'fitness_level')) then
      continue;
    end if;
    if rule.source_column = 'requires_assistance' and jarvis.legacy_fit('boolean', mended -> 'requires_assistance') = 'false' then
      cells := cells || jsonb_build_object(rule.source_column, cells -> rule.source_column || '{"o": "dropped", "r": "says_nothing"}');
      continue;
    end if;
    for item in select * from jsonb_array_elements(jarvis.legacy_items(mended -> rule.source_column)) loop
      perform jarvis.legacy_hold_fact(gym, member, source_id, rule.source_column,
                jarvis.legacy_fact(rule.source_column, rule.category, rule.kind, item));
    end loop;
    cells := cells || jsonb_build_object(rule.source_column, cells -> rule.source_column || '{"o": "held", "r": "no_consent"}');
  end loop;
  if 'member_preferences' = any (todo) then
    if preferences is null then
      perform jarvis.legacy_hold_fact(gym, member, source_id, 'member_preferences',
                jarvis.legacy_fact('member_preferences', 'preference', null, mended -> 'member_preferences'));
      cells := cells || jsonb_build_object('member_preferences', cells -> 'member_preferences' || '{"o": "held", "r": "no_consent"}');
    else
      for about, item in
        select e.key, e.value from jsonb_each(preferences) as e
         where jarvis.legacy_filled(e.value)
           and not (e.key = 'language' and jarvis.legacy_fit('language', e.value) is not null)
           and e.key not in ('voice', 'voice_preference')
      loop
        perform jarvis.legacy_hold_fact(gym, member, source_id, 'member_preferences',
                  case when about ~* 'injur|pain|pregnan|medic|allerg|asthm|diabet|surger|illness|health|blessure|sant[eé]|handicap|maladie'
                       then jarvis.legacy_fact('member_preferences.' || about, 'concern', 'health', item)
                       else jarvis.legacy_fact('member_preferences.' || about, 'preference', null, item) end);
        cells := cells || jsonb_build_object('member_preferences', cells -> 'member_preferences' || '{"o": "held", "r": "no_consent"}');
      end loop;
    end if;
  end if;
  return cells;
end
$$;
comment on function jarvis.legacy_hold_facts(uuid, uuid, text, jsonb, text[], jsonb) is 'Reprise : prépare les faits d''un membre.';

-- Columns wanted in the three tables of a member, by table: {table: {column: {v: value, c: source column}}}; what does not
-- fit is put aside.
create function jarvis.legacy_wanted(gym uuid, member uuid, source_id text, mended jsonb, todo text[],
                                     inout cells jsonb, out wanted jsonb)
  language plpgsql set search_path = ''
  as $$
declare
  rule record;
  value text;
  source jsonb := mended;
  preferences constant jsonb := jarvis.legacy_object(mended -> 'member_preferences');
begin
  wanted := '{"gym_members_v2": {}, "member_fitness_profile": {}, "member_preferences": {}}';
  for rule in select * from jarvis.legacy_columns() as c where c.source_column = any (todo) loop
    value := jarvis.legacy_fit(rule.kind, source -> rule.source_column);
    -- An end before the beginning.
    if rule.source_column = 'membership_expires'
       and value < coalesce(jarvis.legacy_fit('date', source -> 'member_since'), jarvis.legacy_fit('date', source -> 'created_at'), '') then
      value := null;
    end if;
    if value is not null then
      wanted := jsonb_set(wanted, array[rule.target_table, rule.target_column], jsonb_build_object('v', value, 'c', rule.source_column));
      if rule.kind in ('measure', 'percentage') and value::numeric <> replace(source ->> rule.source_column, ',', '.')::numeric
         or rule.kind in ('date', 'birth') and source ->> rule.source_column !~ '^\s*\d{4}-\d\d-\d\d([T ]00:00:00[^1-9]*)?\s*$' then
        perform jarvis.legacy_hold(gym, member, 'gym_members', source_id, rule.source_column, 'value', 'rounded', '{}',
                                   source -> rule.source_column);
        cells := cells || jsonb_build_object(rule.source_column, cells -> rule.source_column || '{"o": "held", "r": "rounded"}');
      end if;
    elsif rule.kind not in ('level', 'tone', 'feedback') then
      perform jarvis.legacy_hold(gym, member, 'gym_members', source_id, rule.source_column, 'value', 'value_unfit', '{}',
                                 source -> rule.source_column);
      cells := cells || jsonb_build_object(rule.source_column, cells -> rule.source_column || '{"o": "held", "r": "value_unfit"}');
    end if;
  end loop;
  if 'fitness_goals' = any (todo) then
    wanted := jsonb_set(wanted, '{member_fitness_profile,primary_goals}', jsonb_build_object('c', 'fitness_goals', 'v',
                (select jsonb_agg(jarvis.legacy_words(e)) from jsonb_array_elements(jarvis.legacy_items(source -> 'fitness_goals')) as e)));
  end if;
  if 'preferred_workout_times' = any (todo) then
    wanted := jsonb_set(wanted, '{member_fitness_profile,preferred_workout_times}', jsonb_build_object(
                'c', 'preferred_workout_times', 'v', jarvis.legacy_times_of_day(source -> 'preferred_workout_times')));
  end if;
  if 'member_preferences' = any (todo) and preferences is not null then
    value := jarvis.legacy_fit('language', preferences -> 'language');
    if value is not null then
      wanted := jsonb_set(wanted, '{member_preferences,language}', jsonb_build_object('v', value, 'c', 'member_preferences'));
    end if;
    value := coalesce(preferences ->> 'voice_preference', preferences ->> 'voice');
    if btrim(value) <> '' then
      wanted := jsonb_set(wanted, '{member_preferences,voice_preference}', jsonb_build_object('v', value, 'c', 'member_preferences'));
    end if;
  end if;
  if array['member_notes', 'emergency_contact'] && todo then
    value := nullif(concat_ws(E'\n', source ->> 'member_notes', 'Contact d''urgence : ' ||
                (select string_agg(jarvis.legacy_words(e), ', ') from jsonb_array_elements(jarvis.legacy_items(source -> 'emergency_contact')) as e)), '');
    wanted := jsonb_set(wanted, '{gym_members_v2,member_notes}', jsonb_build_object(
                'v', value, 'c', case when source ? 'member_notes' then 'member_notes' else 'emergency_contact' end));
  end if;
end
$$;
comment on function jarvis.legacy_wanted(uuid, uuid, text, jsonb, text[], jsonb) is 'Reprise : valeurs d''un membre par table et colonne.';

create function jarvis.legacy_import_member(source_id text, fingerprint text, raw jsonb) returns void
  language plpgsql set search_path = ''
  as $$
declare
  mending record;
  mended jsonb;
  prior jarvis.legacy_rows;
  gym uuid;
  member uuid;
  present public.gym_members_v2;
  fresh boolean;
  cells jsonb := '{}';
  todo text[];
  one text;
  plan record;
  badge text;
  measures jsonb;
begin
  mending := jarvis.legacy_mend_row(raw);
  mended := mending.mended;
  gym := jarvis.legacy_gym(mended ->> 'gym_id');
  member := case when raw ->> 'id' ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' and strpos(source_id, '#') = 0
                 then (raw ->> 'id')::uuid else md5('legacy:gym_members:' || source_id)::uuid end;
  select * into prior from jarvis.legacy_rows r where r.source_table = 'gym_members' and r.source_id = legacy_import_member.source_id;
  -- Waits for a consent that is being recorded, and makes the next one wait for us.
  select * into present from public.gym_members_v2 m where m.id = member for update;
  fresh := present.id is null;
  if gym is null or (not fresh and present.gym_id <> gym) or mending.doubtful && array['id', 'badge_id', 'first_name', 'last_name'] then
    perform jarvis.legacy_refuse('gym_members', source_id, fingerprint, case
      when gym is null then 'gym_unknown' when not fresh and present.gym_id <> gym then 'member_of_another_gym'
      else 'encoding_doubtful' end);
    return;
  end if;

  -- Only cells that are new or changed since the last import.
  select coalesce(array_agg(k), '{}') into todo from jsonb_object_keys(mended) as k
   where prior.cells -> k ->> 's' is distinct from md5((raw -> k)::text);
  if 'emergency_contact' = any (todo) and mended ? 'member_notes' then
    todo := todo || 'member_notes'::text;
  end if;
  delete from jarvis.legacy_held h
   where h.source_table = 'gym_members' and h.source_id = legacy_import_member.source_id and h.source_column = any (todo);
  select coalesce(prior.cells, '{}') || coalesce(jsonb_object_agg(k, jsonb_strip_nulls(jsonb_build_object(
           'o', 'imported', 's', md5((raw -> k)::text), 'm', mending.times -> k))), '{}')
    into cells from unnest(todo) as k;

  if fresh then
    badge := jarvis.legacy_badge(gym, member, coalesce(btrim(mended ->> 'badge_id'), ''));
    insert into public.gym_members_v2 (id, gym_id, badge_id, first_name, last_name, member_since)
    values (member, gym, badge, '', '',
            coalesce(jarvis.legacy_fit('date', mended -> 'member_since'), jarvis.legacy_fit('date', mended -> 'created_at'),
                     current_date::text)::date);
  else
    badge := present.badge_id;
  end if;
  if 'badge_id' = any (todo) and lower(badge) <> lower(btrim(mended ->> 'badge_id')) then
    perform jarvis.legacy_hold(gym, member, 'gym_members', source_id, 'badge_id', 'value',
              case when fresh and badge ~ '#\d+$' then 'badge_taken' when fresh then 'value_unfit' else 'superseded' end, '{}', mended -> 'badge_id');
    cells := jsonb_set(cells, '{badge_id}', cells -> 'badge_id' || jsonb_build_object('o', 'held', 'r',
              case when fresh and badge ~ '#\d+$' then 'badge_taken' when fresh then 'value_unfit' else 'superseded' end));
  end if;

  foreach one in array todo loop
    if one = any (mending.doubtful) then
      perform jarvis.legacy_hold(gym, member, 'gym_members', source_id, one, 'value', 'encoding_doubtful', '{}', raw -> one);
      cells := jsonb_set(cells, array[one], cells -> one || '{"o": "held", "r": "encoding_doubtful"}');
      mended := mended - one;
    elsif one in ('profile_completeness_percent', 'last_profile_update', 'jarvis_personalization_score') then
      cells := jsonb_set(cells, array[one], cells -> one || '{"o": "dropped", "r": "by_decision"}');
    elsif one not in ('id', 'gym_id', 'badge_id', 'last_visit', 'total_visits', 'member_preferences', 'member_notes', 'emergency_contact',
                      'fitness_goals', 'avg_session_duration_minutes', 'favorite_visit_days', 'peak_visit_hours', 'consistency_score',
                      'engagement_level', 'jarvis_interaction_frequency', 'goal_achievement_rate', 'last_jarvis_interaction')
      and not exists (select from jarvis.legacy_columns() as c where c.source_column = one)
      and not exists (select from jarvis.legacy_fact_columns() as c where c.source_column = one) then
      perform jarvis.legacy_hold(gym, member, 'gym_members', source_id, one, 'value', 'no_place', '{}', mended -> one);
      cells := jsonb_set(cells, array[one], cells -> one || '{"o": "held", "r": "no_place"}');
    end if;
  end loop;
  todo := array(select k from unnest(todo) as k where mended ? k);

  -- Visits before the other columns: they move the member's row as well.
  if array['last_visit', 'total_visits'] && todo then
    foreach one in array array['last_visit', 'total_visits'] loop
      if one = any (todo) and jarvis.legacy_fit(case one when 'last_visit' then 'past' else 'count' end, mended -> one) is null then
        perform jarvis.legacy_hold(gym, member, 'gym_members', source_id, one, 'value', 'value_unfit', '{}', mended -> one);
        cells := jsonb_set(cells, array[one], cells -> one || '{"o": "held", "r": "value_unfit"}');
      end if;
    end loop;
    if not jarvis.legacy_open_balance(gym, member, jarvis.legacy_fit('count', mended -> 'total_visits')::integer,
                                      jarvis.legacy_fit('past', mended -> 'last_visit')::timestamptz,
                                      coalesce(jarvis.legacy_fit('past', mended -> 'created_at')::timestamptz, now())) then
      perform jarvis.legacy_hold(gym, member, 'gym_members', source_id, 'total_visits', 'value', 'superseded', '{}', mended -> 'total_visits');
      cells := jsonb_set(cells, '{total_visits}', cells -> 'total_visits' || '{"o": "held", "r": "superseded"}');
    end if;
  end if;

  plan := jarvis.legacy_wanted(gym, member, source_id, mended, todo, cells);
  cells := plan.cells;
  foreach one in array array['gym_members_v2', 'member_fitness_profile', 'member_preferences'] loop
    cells := jarvis.legacy_write(gym, member, source_id, one, fresh, plan.wanted -> one, cells, coalesce(prior.cells, '{}'));
  end loop;
  cells := jarvis.legacy_hold_facts(gym, member, source_id, mended, todo, cells);

  select jsonb_object_agg(k, mended -> k) into measures
    from unnest(todo) as k
   where k in ('avg_session_duration_minutes', 'favorite_visit_days', 'peak_visit_hours', 'consistency_score', 'engagement_level',
               'jarvis_interaction_frequency', 'goal_achievement_rate', 'last_jarvis_interaction');
  if measures is not null then
    perform jarvis.legacy_history(gym, member,
              coalesce(jarvis.legacy_fit('date', mended -> 'updated_at')::date, current_date - 2), measures);
  end if;

  insert into jarvis.legacy_rows as r (source_table, source_id, fingerprint, outcome, gym_id, member_id, cells)
  values ('gym_members', source_id, fingerprint, 'imported', gym, member, cells)
  on conflict on constraint legacy_rows_pkey do update
     set fingerprint = excluded.fingerprint, outcome = 'imported', reason = null, gym_id = excluded.gym_id,
         member_id = excluded.member_id, cells = excluded.cells, imported_at = now();
  perform jarvis.legacy_release(gym, member);
end
$$;
comment on function jarvis.legacy_import_member(text, text, jsonb) is 'Reprise d''une ligne de gym_members.';

-- ---------------------------------------------------------------------------------------------------------------
-- Conversation logs and audio events: one event each, in a conversation of their member
-- ---------------------------------------------------------------------------------------------------------------
create function jarvis.legacy_pick(source jsonb, names text[]) returns text
  language sql immutable parallel safe
  return (select n.name from unnest(names) with ordinality as n (name, nth)
           where jarvis.legacy_filled(source -> n.name) order by n.nth limit 1);
comment on function jarvis.legacy_pick(jsonb, text[]) is 'Reprise : la première de ces colonnes qui est remplie.';

create function jarvis.legacy_event_type(spoken_by text, said text, of_kind text) returns text
  language sql immutable parallel safe
  return case
    when of_kind ~ 'error' then 'error'
    when of_kind ~ 'function_call_output|tool_result|function_result' then 'tool_result'
    when of_kind ~ 'function_call|tool_call' then 'tool_call'
    when of_kind ~ 'input_audio_transcription|user_transcript|user_message' then 'user_transcript'
    when of_kind ~ 'audio_transcript|ai_transcript|response\.text|assistant_message' then 'ai_transcript'
    when of_kind ~ 'speech_started|user_speech_start|input_start' then 'user_speech_start'
    when of_kind ~ 'speech_stopped|user_speech_end|input_end' then 'user_speech_end'
    when of_kind ~ 'response.*(start|created)|ai_speech_start|output_start' then 'ai_speech_start'
    when of_kind ~ 'response.*(done|end|stop)|ai_speech_end|output_end' then 'ai_speech_end'
    when said is not null and spoken_by in ('user', 'member', 'membre', 'client', 'human') then 'user_transcript'
    when said is not null and spoken_by in ('jarvis', 'assistant', 'ai', 'bot', 'agent') then 'ai_transcript'
    else 'tool_result' end;
comment on function jarvis.legacy_event_type(text, text, text) is 'Reprise : nature d''un événement ; ce qui n''en a pas devient tool_result.';

-- What a mended row says. Every column that has no place of its own is in "rest".
create function jarvis.legacy_event(source_table text, source jsonb) returns jsonb
  language plpgsql stable set search_path = ''
  as $$
declare
  said constant text := jarvis.legacy_pick(source, array['text', 'message_text', 'message', 'content', 'transcript', 'user_transcript',
                                                         'ai_transcript', 'assistant_transcript', 'jarvis_response']);
  spoken constant text := jarvis.legacy_pick(source, array['speaker', 'role', 'sender']);
  about constant text := jarvis.legacy_pick(source, array['event_type', 'type']);
  at constant text := jarvis.legacy_pick(source, array['timestamp', 'event_timestamp', 'occurred_at', 'logged_at', 'created_at']);
  lasted constant text := jarvis.legacy_pick(source, array['audio_duration_ms', 'duration_ms']);
  certain constant text := jarvis.legacy_pick(source, array['confidence_score', 'confidence']);
  turn constant text := jarvis.legacy_pick(source, array['turn_number', 'conversation_turn_number', 'turn']);
  kind text;
  happened timestamptz := jarvis.legacy_fit('past', source -> at)::timestamptz;
  lasting text := jarvis.legacy_fit('count', source -> lasted);
  nth text := jarvis.legacy_fit('count', source -> turn);
  sure numeric;
  rest jsonb := source - array['id'];
begin
  begin
    sure := (source ->> certain)::numeric;
    sure := case when sure between 0 and 1 and round(sure, 3) = sure then sure end;
  exception when data_exception then
    sure := null;
  end;
  kind := jarvis.legacy_event_type(lower(source ->> spoken), said, lower(concat_ws(' ', source ->> about, case
            when said in ('user_transcript', 'ai_transcript', 'assistant_transcript') then replace(said, 'assistant', 'ai')
            when said = 'jarvis_response' then 'ai_transcript' end)));
  -- A name is left out of the rest where the value stands exactly in a column of its own.
  if kind in ('user_transcript', 'ai_transcript') and jsonb_typeof(source -> said) = 'string' then
    rest := rest - said;
  end if;
  if happened is not null then
    rest := rest - at;
  end if;
  if lasting is not null then
    rest := rest - lasted;
  end if;
  if nth is not null then
    rest := rest - turn;
  end if;
  if sure is not null then
    rest := rest - certain;
  end if;
  if lower(source ->> spoken) = 'user' and kind = 'user_transcript' or lower(source ->> spoken) in ('jarvis', 'assistant') and kind = 'ai_transcript' then
    rest := rest - spoken;
  end if;
  if source ->> about = kind then
    rest := rest - about;
  end if;
  return jsonb_build_object('event_type', kind, 'at', happened, 'audio_duration_ms', lasting, 'turn_number', nth, 'confidence_score', sure,
    'transcript', case when kind in ('user_transcript', 'ai_transcript') then source ->> said end, 'rest', rest);
end
$$;
comment on function jarvis.legacy_event(text, jsonb) is 'Reprise : ce que dit une ligne de journal ou d''événement audio.';

-- The member of a row, by identifier or by badge; "erased" when they were erased since.
create function jarvis.legacy_member(source jsonb, out gym uuid, out member uuid, out erased boolean)
  language plpgsql stable set search_path = ''
  as $$
declare
  named constant text := source ->> jarvis.legacy_pick(source, array['member_id', 'gym_member_id', 'user_id']);
  badge constant text := lower(btrim(source ->> jarvis.legacy_pick(source, array['badge_id', 'member_badge_id'])));
begin
  -- Of two members by one identifier nobody can tell which one is meant.
  if exists (select from jarvis.legacy_rows r where r.source_table = 'gym_members' and r.source_id = named || '#2') then
    erased := false;
    return;
  end if;
  select r.gym_id, r.member_id, r.outcome = 'erased' into gym, member, erased
    from jarvis.legacy_rows r where r.source_table = 'gym_members' and r.source_id = named and r.outcome in ('imported', 'erased');
  erased := coalesce(erased, false);
  if erased or member is not null then
    return;
  end if;
  select m.gym_id, m.id into gym, member from public.gym_members_v2 m
   where named ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' and m.id = named::uuid;
  if member is null and named is null and badge is not null then
    -- Only when there is exactly one such badge.
    select (array_agg(m.gym_id))[1], (array_agg(m.id))[1] into gym, member
      from public.gym_members_v2 m
     where lower(btrim(m.badge_id)) = badge and (source ->> 'gym_id' is null or m.gym_id = jarvis.legacy_gym(source ->> 'gym_id'))
    having count(*) = 1;
  end if;
end
$$;
comment on function jarvis.legacy_member(jsonb) is 'Reprise : le membre d''une ligne de journal.';

-- The conversation here for one of the predecessor's. One that is not of the import, or another member's, keeps its own
-- name; ours gets another then.
create function jarvis.legacy_session(gym uuid, member uuid, named text, began timestamptz) returns text
  language plpgsql set search_path = ''
  as $$
declare
  candidate text := named;
  language text;
begin
  if named is null or length(named) not between 1 and 128 or named ~ '[[:space:][:cntrl:]]'
     or exists (select from public.conversation_sessions s
                 where s.session_id = named and ((s.gym_id, s.member_id) <> (gym, member) or not 'legacy' = any (s.notes))) then
    candidate := 'legacy-' || md5(concat_ws('|', member, coalesce(named, (began at time zone 'UTC')::date::text)));
  end if;
  select p.language into language from public.member_preferences p where p.gym_id = gym and p.member_id = member;
  insert into public.conversation_sessions as s (session_id, gym_id, member_id, channel, language, started_at, notes)
  values (candidate, gym, member, 'external', coalesce(language, 'fr'), began, '{legacy}')
  -- Open while events are added; the end is written again below.
  on conflict (session_id) do update set state = 'open', ended_at = null, started_at = least(s.started_at, excluded.started_at);
  return candidate;
end
$$;
comment on function jarvis.legacy_session(uuid, uuid, text, timestamptz) is 'Reprise : la conversation qui reçoit les événements repris.';

-- Writes the events of one conversation, and puts aside the words that may not be kept yet.
create function jarvis.legacy_write_events(gym uuid, member uuid, named text, events jsonb[]) returns void
  language plpgsql set search_path = ''
  as $$
declare
  session text;
begin
  session := jarvis.legacy_session(gym, member, named, (select min((e ->> 'at')::timestamptz) from unnest(events) as e));
  with event as (
    select e from unnest(events) as e
  ), stored as (
    insert into public.conversation_events
           (session_id, member_id, gym_id, event_type, transcript, tool_name, tool_args, turn_number, audio_duration_ms,
            confidence_score, "timestamp", provider_event_id)
    select session, member, gym, e ->> 'event_type', e ->> 'transcript',
           case when e ->> 'event_type' like 'tool%' then 'legacy' end,
           case when e -> 'rest' <> '{}' then jsonb_build_object('legacy', case
                when session = named then (e -> 'rest') - array['session_id', 'conversation_id'] else e -> 'rest' end) end,
           (e ->> 'turn_number')::integer, (e ->> 'audio_duration_ms')::integer, (e ->> 'confidence_score')::numeric,
           (e ->> 'at')::timestamptz, 'legacy:' || (e ->> 'source_table') || ':' || (e ->> 'source_id')
      from event
    -- Known from an import that was taken back since.
    on conflict (session_id, provider_event_id) do update
       set transcript = excluded.transcript, tool_args = excluded.tool_args
    returning id, provider_event_id, transcript, tool_args
  ), held as (
    insert into jarvis.legacy_held (gym_id, member_id, source_table, source_id, source_column, kind, reason, needs, content)
    select gym, member, e ->> 'source_table', e ->> 'source_id', '*', 'words', 'no_consent', array['memory', 'health_memory'],
           jsonb_build_object('event_id', stored.id, 'event_type', e -> 'event_type', 'transcript', e -> 'transcript',
             'tool_args', case when e -> 'rest' <> '{}' then jsonb_build_object('legacy', case
                when session = named then (e -> 'rest') - array['session_id', 'conversation_id'] else e -> 'rest' end) end)
      from event join stored on stored.provider_event_id = 'legacy:' || (e ->> 'source_table') || ':' || (e ->> 'source_id')
     where stored.transcript is null and stored.tool_args is null and (e ->> 'transcript' is not null or e -> 'rest' <> '{}')
    returning source_table, source_id
  )
  insert into jarvis.legacy_rows as r (source_table, source_id, fingerprint, outcome, gym_id, member_id, cells)
  select e ->> 'source_table', e ->> 'source_id', e ->> 'fingerprint', 'imported', gym, member,
         (select jsonb_object_agg(c.key, case
                   when c.value ->> 'o' = 'imported' and held.source_id is not null
                        and (e -> 'rest' ? c.key or c.key in ('text', 'message_text', 'message', 'content', 'transcript', 'user_transcript',
                                                              'ai_transcript', 'assistant_transcript', 'jarvis_response'))
                        and not (session = named and c.key in ('session_id', 'conversation_id'))
                   then c.value || '{"o": "held", "r": "no_consent"}' else c.value end) from jsonb_each(e -> 'cells') as c)
    from event left join held on held.source_table = e ->> 'source_table' and held.source_id = e ->> 'source_id'
  on conflict (source_table, source_id) do update
     set fingerprint = excluded.fingerprint, outcome = 'imported', reason = null, gym_id = excluded.gym_id,
         member_id = excluded.member_id, cells = excluded.cells, imported_at = now();

  -- With words of the member there is something to remember, and the conversation is processed like any other.
  update public.conversation_sessions s
     set state = case when said.kept then 'closing' else 'empty' end,
         state_reason = case when said.kept then null when said.held then 'no_consent' else 'no_user_turn' end,
         attempts = 0, end_reason = 'client', ended_at = said.ended
    from (select coalesce(bool_or(x.event_type = 'user_transcript' and x.transcript is not null), false) as kept,
                 coalesce(bool_or(x.event_type = 'user_transcript' and x.transcript is null), false) as held,
                 max(x."timestamp") as ended
            from public.conversation_events x where x.gym_id = gym and x.session_id = session) as said
   where s.gym_id = gym and s.session_id = session;
end
$$;
comment on function jarvis.legacy_write_events(uuid, uuid, text, jsonb[]) is 'Reprise : écrit les événements d''une conversation.';

create function jarvis.legacy_import_log(source_table text) returns void
  language plpgsql set search_path = '' set timezone = 'UTC'
  as $$
declare
  line record;
  mending record;
  whose record;
  event jsonb;
  cells jsonb;
  one text;
  conversation text;
  batch jsonb[] := '{}';
  batch_gym uuid;
  batch_member uuid;
  batch_session text;
begin
  for line in
    select s.*, coalesce(s.raw ->> 'member_id', s.raw ->> 'gym_member_id', s.raw ->> 'user_id', s.raw ->> 'badge_id') as who,
           coalesce(s.raw ->> 'session_id', s.raw ->> 'conversation_id') as conversation, k.outcome
      from jarvis.legacy_source(source_table) s
      left join jarvis.legacy_rows k on k.source_table = legacy_import_log.source_table and k.source_id = s.source_id
     where k.source_id is null or k.reason = 'member_unknown' or (k.fingerprint <> s.fingerprint and k.outcome <> 'erased')
     order by who, conversation, coalesce(s.raw ->> 'timestamp', s.raw ->> 'event_timestamp', s.raw ->> 'created_at'), s.source_id
  loop
    mending := jarvis.legacy_mend_row(line.raw);
    whose := jarvis.legacy_member(mending.mended);
    if line.outcome is not null then
      -- Imported before, and changed since: the newer one takes its place.
      delete from public.conversation_events e
       where e.gym_id = whose.gym and e.member_id = whose.member
         and e.provider_event_id = 'legacy:' || source_table || ':' || line.source_id;
    end if;
    delete from jarvis.legacy_held h where h.source_table = legacy_import_log.source_table and h.source_id = line.source_id;
    select coalesce(jsonb_object_agg(k, jsonb_strip_nulls(jsonb_build_object('o', 'imported', 'm', mending.times -> k))), '{}')
      into cells from jsonb_object_keys(mending.mended) as k;
    if whose.member is null then
      if whose.erased then
        cells := '{}';
      else
        select coalesce(jsonb_object_agg(c.key, c.value || '{"o": "held", "r": "member_unknown"}'), '{}') into cells from jsonb_each(cells) as c;
        perform jarvis.legacy_hold(null, null, source_table, line.source_id, '*', 'row', 'member_unknown', '{}', line.raw);
      end if;
      insert into jarvis.legacy_rows as r (source_table, source_id, fingerprint, outcome, reason, cells)
      values (source_table, line.source_id, line.fingerprint, case when whose.erased then 'erased' else 'held' end,
              case when not whose.erased then 'member_unknown' end, cells)
      on conflict on constraint legacy_rows_pkey do update
         set fingerprint = excluded.fingerprint, outcome = excluded.outcome, reason = excluded.reason, cells = excluded.cells, imported_at = now();
      continue;
    end if;
    foreach one in array array(select jsonb_object_keys(mending.mended)) loop
      -- No sound is ever kept.
      if one ~ '^audio(_data|_base64|_blob|_bytes|_content|_chunk|_delta)?$' then
        cells := jsonb_set(cells, array[one], cells -> one || '{"o": "dropped", "r": "no_sound_is_kept"}');
        mending.mended := mending.mended - one;
      elsif one = any (mending.doubtful) then
        perform jarvis.legacy_hold(whose.gym, whose.member, source_table, line.source_id, one, 'value', 'encoding_doubtful', '{}', line.raw -> one);
        cells := jsonb_set(cells, array[one], cells -> one || '{"o": "held", "r": "encoding_doubtful"}');
        mending.mended := mending.mended - one;
      end if;
    end loop;
    event := jarvis.legacy_event(source_table, mending.mended);
    event := event || jsonb_build_object('rest', case
        when mending.mended ->> 'member_id' = whose.member::text then (event -> 'rest') - 'member_id' else event -> 'rest' end,
      'at', coalesce((event ->> 'at')::timestamptz, now()), 'cells', cells, 'source_table', source_table,
      'source_id', line.source_id, 'fingerprint', line.fingerprint);
    conversation := mending.mended ->> jarvis.legacy_pick(mending.mended, array['session_id', 'conversation_id']);
    if batch <> '{}' and ((batch_member, batch_session) is distinct from (whose.member, conversation)
       or conversation is null and ((batch[1] ->> 'at')::timestamptz at time zone 'UTC')::date <> ((event ->> 'at')::timestamptz at time zone 'UTC')::date) then
      perform jarvis.legacy_write_events(batch_gym, batch_member, batch_session, batch);
      batch := '{}';
    end if;
    batch_gym := whose.gym;
    batch_member := whose.member;
    batch_session := conversation;
    batch := batch || event;
  end loop;
  if batch <> '{}' then
    perform jarvis.legacy_write_events(batch_gym, batch_member, batch_session, batch);
  end if;
end
$$;
comment on function jarvis.legacy_import_log(text) is 'Reprise de jarvis_conversation_logs ou openai_realtime_audio_events.';

-- ---------------------------------------------------------------------------------------------------------------
-- The whole import
-- ---------------------------------------------------------------------------------------------------------------
-- Consents the operator states for members of the import. A member who answered since keeps their answer, and of one
-- under fifteen, or of unreadable age, only a guardian can.
create function jarvis.legacy_state_consents(purposes text[]) returns integer
  language plpgsql set search_path = ''
  as $$
declare
  stated integer;
begin
  insert into jarvis.consent_ledger (gym_id, member_id, purpose, granted, statement_version, source)
  select m.gym_id, m.id, p, true, 'imported', 'import'
    from jarvis.legacy_rows r
    join public.gym_members_v2 m on m.gym_id = r.gym_id and m.id = r.member_id
   cross join unnest(purposes) as p
   where r.source_table = 'gym_members' and r.outcome = 'imported'
     and coalesce(r.cells -> 'date_of_birth' ->> 'o', 'imported') <> 'held'
     and not coalesce(m.date_of_birth > current_date - interval '15 years', false)
     and not exists (select from jarvis.consent_ledger l where l.gym_id = m.gym_id and l.member_id = m.id and l.purpose = p)
   order by m.id, p;
  get diagnostics stated = row_count;
  return stated;
end
$$;
comment on function jarvis.legacy_state_consents(text[]) is 'Reprise : consentements déclarés par l''opérateur ; une réponse déjà donnée l''emporte.';

-- Gyms of the predecessor that were set aside as public.legacy_gyms, with their identifiers.
create function jarvis.legacy_import_gyms() returns integer
  language plpgsql set search_path = ''
  as $$
declare
  line jsonb;
  made integer := 0;
  wished text;
begin
  if to_regclass('public.legacy_gyms') is null then
    return 0;
  end if;
  for line in execute 'select to_jsonb(t) from public.legacy_gyms t' loop
    line := (jarvis.legacy_mend_row(line)).mended;
    if line ->> 'id' !~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then
      continue;
    end if;
    wished := btrim(regexp_replace(jarvis.fold(coalesce(line ->> 'slug', line ->> 'name', line ->> 'id')), '[^a-z0-9]+', '-', 'g'), '-');
    insert into public.gyms (id, name, slug, timezone)
    select (line ->> 'id')::uuid, coalesce(nullif(btrim(line ->> 'name'), ''), line ->> 'id'),
           case when wished = '' or exists (select from public.gyms g where g.slug = wished) then line ->> 'id' else wished end,
           coalesce((select z.name from pg_catalog.pg_timezone_names z where z.name = line ->> 'timezone' and z.name ~ '^[A-Z][A-Za-z_]+/'), 'Europe/Paris')
    on conflict (id) do nothing;
    made := made + case when found then 1 else 0 end;
  end loop;
  return made;
end
$$;
comment on function jarvis.legacy_import_gyms() is 'Reprise : les salles du prédécesseur mises de côté dans public.legacy_gyms, sous le même identifiant.';

-- Safe to call again: rows already imported and unchanged are passed over; refused ones are tried again.
-- Plans made while a table was empty read all of it for each row once it has filled.
create function jarvis.legacy_import(consents text[] default '{}') returns void
  language plpgsql set search_path = '' set timezone = 'UTC' set plan_cache_mode = 'force_custom_plan'
  as $$
declare
  line record;
begin
  if not exists (select from unnest(array['gym_members', 'jarvis_conversation_logs', 'openai_realtime_audio_events']) as t
                  where jarvis.legacy_table(t) is not null) then
    perform jarvis.legacy_state_consents(consents);
    return;
  end if;
  -- Members are not written by others meanwhile: their rows and their visits are read and written in several steps.
  lock table public.gym_members_v2 in share row exclusive mode;
  perform jarvis.legacy_import_gyms();
  -- Of two with one badge, the one who came last keeps it.
  for line in
    select s.* from jarvis.legacy_source('gym_members') s
      left join jarvis.legacy_rows k on k.source_table = 'gym_members' and k.source_id = s.source_id
     where k.source_id is null or k.outcome = 'refused' or (k.fingerprint <> s.fingerprint and k.outcome <> 'erased')
     order by coalesce(s.raw ->> 'is_active', 'true') in ('false', 'f') , s.raw ->> 'last_visit' desc nulls last, s.source_id
  loop
    perform jarvis.legacy_import_member(line.source_id, line.fingerprint, line.raw);
  end loop;
  -- The trigger dated every row today.
  alter table public.gym_members_v2 disable trigger z90_touch;
  with dated as (
    update public.gym_members_v2 m set updated_at = jarvis.legacy_fit('time', s.raw -> 'updated_at')::timestamptz
      from jarvis.legacy_source('gym_members') s
      join jarvis.legacy_rows k on k.source_table = 'gym_members' and k.source_id = s.source_id
     where m.gym_id = k.gym_id and m.id = k.member_id and k.imported_at = now()
       and k.cells -> 'updated_at' ->> 'o' = 'imported'
    returning k.source_id, m.updated_at)
  update jarvis.legacy_rows k set cells = jsonb_set(k.cells, '{updated_at,t}', to_jsonb(md5(to_jsonb(dated.updated_at) #>> '{}')))
    from dated where k.source_table = 'gym_members' and k.source_id = dated.source_id;
  alter table public.gym_members_v2 enable trigger z90_touch;
  perform jarvis.legacy_state_consents(consents);
  perform jarvis.legacy_import_log('jarvis_conversation_logs');
  perform jarvis.legacy_import_log('openai_realtime_audio_events');
end
$$;
comment on function jarvis.legacy_import(text[]) is 'Reprise de tout ce que le prédécesseur a laissé ; peut être appelée plusieurs fois.';

-- What became of it, column by column; found = imported + held + dropped. The line "*" counts rows:
-- found = imported + held + refused + erased.
create function jarvis.legacy_reconciliation()
  returns table (source_table text, source_column text, found bigint, imported bigint, held bigint, dropped bigint,
                 refused bigint, erased bigint, repaired bigint, reasons jsonb)
  language sql stable set search_path = ''
  as $$
    select r.source_table, c.key, count(*),
           count(*) filter (where c.value ->> 'o' = 'imported'),
           count(*) filter (where c.value ->> 'o' = 'held'),
           count(*) filter (where c.value ->> 'o' = 'dropped'),
           0::bigint, 0::bigint,
           count(*) filter (where c.value ? 'm'),
           (select coalesce(jsonb_object_agg(n.reason, n.rows), '{}') from (
              select x.reason, count(*) as rows from unnest(array_agg(c.value ->> 'r')) as x (reason) where x.reason is not null group by x.reason) as n)
      from jarvis.legacy_rows r cross join lateral jsonb_each(r.cells) as c
     where r.outcome in ('imported', 'held')
     group by r.source_table, c.key
    union all
    select r.source_table, '*', count(*), count(*) filter (where r.outcome = 'imported'), count(*) filter (where r.outcome = 'held'), 0,
           count(*) filter (where r.outcome = 'refused'), count(*) filter (where r.outcome = 'erased'),
           count(*) filter (where exists (select from jsonb_each(r.cells) as c where c.value ? 'm')),
           (select coalesce(jsonb_object_agg(n.reason, n.rows), '{}') from (
              select x.reason, count(*) as rows from unnest(array_agg(r.reason)) as x (reason) where x.reason is not null group by x.reason) as n)
      from jarvis.legacy_rows r
     group by r.source_table
  $$;
comment on function jarvis.legacy_reconciliation() is 'Bilan de la reprise, par colonne : trouvées, reprises, en attente, laissées, réparées, et pourquoi ; la colonne * compte les lignes.';

-- ---------------------------------------------------------------------------------------------------------------
-- Owners and rights, then the import of what is there
-- ---------------------------------------------------------------------------------------------------------------
do $rights$
declare
  made regprocedure;
  me constant text := current_user;
begin
  for made in select f.oid::regprocedure from pg_catalog.pg_proc f
               where f.pronamespace = 'jarvis'::regnamespace and f.proname like 'legacy\_%' loop
    execute format('revoke all on function %s from public, anon, authenticated', made);
  end loop;
  alter function jarvis.legacy_consented() owner to jarvis_writer;
  alter function jarvis.legacy_release(uuid, uuid) owner to jarvis_writer;
  -- The import runs as the owner of the database, who on a platform does not inherit the writer's rights.
  execute 'set local role jarvis_writer';
  execute format('grant execute on function jarvis.legacy_release(uuid, uuid) to %I', me);
  execute format('set local role %I', me);
end
$rights$;
revoke create on schema jarvis from jarvis_writer;

do $import$
begin
  -- Without a gym there is nowhere to import to, as on a new database; the operator does it once the gyms are there.
  if exists (select from public.gyms) or to_regclass('public.legacy_gyms') is not null then
    perform jarvis.legacy_import();
  elsif jarvis.legacy_table('gym_members') is not null then
    raise notice 'gym_members is here but no gym is: create the gyms, then run jarvis migration legacy --yes';
  end if;
end
$import$;

do $report$
declare
  line record;
begin
  for line in select * from jarvis.legacy_reconciliation() order by source_table, source_column loop
    raise notice '% %: found %, imported %, held %, dropped %, refused %, repaired % %', line.source_table, line.source_column,
      line.found, line.imported, line.held, line.dropped, line.refused, line.repaired, line.reasons;
  end loop;
end
$report$;
