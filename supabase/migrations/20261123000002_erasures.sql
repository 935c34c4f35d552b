-- Who was erased: identifiers and a time, no name. A restored backup is older than some erasures; this ledger says
-- which ones to apply again, and no member comes back under an identifier that was erased.
set local lock_timeout = '10s';
set local statement_timeout = '120s';

create table jarvis.erasures (
  id          uuid primary key default gen_random_uuid(),
  gym_id      uuid not null default jarvis.current_gym(),
  member_id   uuid not null,
  erased_at   timestamptz not null default clock_timestamp(),
  recorded_at timestamptz not null default clock_timestamp(),
  unique (gym_id, id),
  unique (gym_id, member_id)
);
alter table jarvis.erasures enable row level security;
alter table jarvis.erasures force row level security;
revoke all on jarvis.erasures from public, anon, authenticated, service_role;
comment on table jarvis.erasures is 'Membres effacés, en ajout seul : identifiants et date, jamais de nom ; rejoué après une restauration.';
comment on column jarvis.erasures.id is 'Identifiant de l''effacement, cité par son certificat.';
comment on column jarvis.erasures.gym_id is 'Salle du membre ; sans clé étrangère, car la ligne survit à la salle.';
comment on column jarvis.erasures.member_id is 'Identifiant du membre effacé, qui ne désigne plus personne.';
comment on column jarvis.erasures.erased_at is 'Moment de l''effacement.';
comment on column jarvis.erasures.recorded_at is 'Écriture de la ligne : plus tard que l''effacement s''il a été rejoué après une restauration.';

create policy server_select on jarvis.erasures for select to jarvis_server using (gym_id = (select jarvis.current_gym()));
grant select on jarvis.erasures to jarvis_server;

-- Nothing that was erased may be forgotten.
create trigger b20_never_edited before update or delete on jarvis.erasures
  for each row execute function jarvis.never_edited();
create trigger b20_never_edited_truncate before truncate on jarvis.erasures
  for each statement execute function jarvis.never_edited();

-- An application that repeats an old upsert, or an import that runs again, must not bring anybody back.
grant create on schema jarvis to jarvis_writer;
create function jarvis.refuse_erased() returns trigger
  language plpgsql security definer set search_path = ''
  as $$
begin
  if jarvis.is_elsewhere(new.gym_id) then
    return new;
  end if;
  if exists (select from jarvis.erasures e where e.gym_id = new.gym_id and e.member_id = new.id) then
    raise exception using errcode = 'JE001', message = 'member_erased',
      hint = 'Ce membre a été effacé à sa demande. S''il revient, inscrivez-le comme un nouveau membre.';
  end if;
  return new;
end
$$;
comment on function jarvis.refuse_erased() is 'Déclencheur : un membre effacé ne revient pas sous le même identifiant.';
revoke all on function jarvis.refuse_erased() from public, anon, authenticated;
grant select on jarvis.erasures to jarvis_writer;
create trigger b20_erased before insert or update of id, gym_id on public.gym_members_v2
  for each row execute function jarvis.refuse_erased();
alter function jarvis.refuse_erased() owner to jarvis_writer;
revoke create on schema jarvis from jarvis_writer;

insert into jarvis.data_map (schema_name, table_name, column_name, class, retention, in_export, erased_how)
select 'jarvis', 'erasures', c.name, 'personal', 'tant qu''une sauvegarde plus ancienne existe', false,
       'conservé après l''effacement du membre (identifiants et date seuls)'
  from (values ('id'), ('gym_id'), ('member_id'), ('erased_at'), ('recorded_at')) as c (name);
