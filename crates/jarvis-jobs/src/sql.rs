//! Every statement of the queue. The table is made by the migration `20261122000001_job_queue.sql`.

/// Inserts, or locks the job that already waits under the same key. The lock lasts until the enqueuer commits, so
/// a runner cannot start that job before it can read what the enqueuer wrote. `xmax = 0` is true for a new row.
pub(crate) const ENQUEUE: &str = "
with asked as (
  insert into jarvis.jobs (kind, unique_key, gym_id, args, priority, max_attempts, run_at, created_at)
  values ($1, $2, $3, $4, $5, $6, $7, $8)
  on conflict (kind, lane, unique_key) where unique_key is not null and state in ('available', 'retryable')
  do update set run_at = case when jobs.state = 'available' then least(jobs.run_at, excluded.run_at)
                              else jobs.run_at end
  returning id, xmax = 0 as inserted
)
select asked.id, asked.inserted from asked, pg_notify($9, '')";

/// As [`ENQUEUE`], and the job that waits takes the new arguments; other ones than it waited with are due anew.
pub(crate) const ENQUEUE_INSTEAD: &str = "
with asked as (
  insert into jarvis.jobs (kind, unique_key, gym_id, args, priority, max_attempts, run_at, created_at)
  values ($1, $2, $3, $4, $5, $6, $7, $8)
  on conflict (kind, lane, unique_key) where unique_key is not null and state in ('available', 'retryable')
  do update set args = excluded.args,
                run_at = case when jobs.args is distinct from excluded.args then excluded.run_at
                              when jobs.state = 'available' then least(jobs.run_at, excluded.run_at)
                              else jobs.run_at end
  returning id, xmax = 0 as inserted
)
select asked.id, asked.inserted from asked, pg_notify($9, '')";

/// One claimer at a time, so that the number running per gym is exact. A claimer whose connection hangs is ended
/// by the database instead of stopping the others.
pub(crate) const CLAIM_TURN: &str = "
select set_config('lock_timeout', '5s', true), set_config('idle_in_transaction_session_timeout', '15s', true),
       pg_advisory_xact_lock(hashtextextended('jarvis.jobs:claim', 0))";

/// Claims up to $2 jobs of the kinds $1. $3 = now, $4 = lease in seconds, $5 = owner, $6 = most running per gym,
/// $7 and $8 = gyms and when this runner last served them, in its own count.
///
/// `lanes` hops over the fetch index from gym to gym, so a gym with a long queue costs no more than one with a
/// short one. `turn` counts what the gym already runs: each gym's first job goes before any gym's second; among equals
/// the gym goes first that waits longest for this runner (or with one slot the oldest queue would be emptied first). More
/// candidates than slots are looked at, because some can be locked by an enqueuer.
///
/// Clocks jump. `due` therefore holds, beside what has come due by our clock: what was asked for at once (its `run_at` is
/// not after its `created_at`, both by the enqueuer's clock), however far ahead that clock was; and what waits since an
/// instant (`attempted_at`, see [`RELEASE`]) that lies in the future now, since its waiting time was counted from there.
pub(crate) const CLAIM: &str = "
with recursive lanes as (
  (select lane from jarvis.jobs where state in ('available', 'retryable') order by lane limit 1)
  union all
  select (select j.lane from jarvis.jobs j
           where j.state in ('available', 'retryable') and j.lane > lanes.lane order by j.lane limit 1)
    from lanes where lanes.lane is not null
),
busy as (select lane, count(*) as running from jarvis.jobs where state = 'running' group by lane),
heads as (
  select head.id, head.priority, head.run_at, coalesce(served.at, 0) as served_at,
         coalesce(busy.running, 0)
           + row_number() over (partition by lanes.lane order by head.priority, head.run_at, head.id) as turn
    from lanes
    left join busy on busy.lane = lanes.lane
    left join unnest($7::uuid[], $8::bigint[]) as served (lane, at) on served.lane = lanes.lane
    cross join lateral (
      select j.id, j.priority, j.run_at from jarvis.jobs j
       where j.lane = lanes.lane and j.state in ('available', 'retryable') and j.kind = any($1)
         and (j.run_at <= $3 or (j.state = 'available' and j.run_at <= j.created_at)
              or (j.state = 'retryable' and j.attempted_at > $3 + interval '5 minutes'))
         and not exists (select 1 from jarvis.jobs r where r.state = 'running' and r.unique_key is not null
                           and r.kind = j.kind and r.lane = j.lane and r.unique_key = j.unique_key)
       order by j.priority, j.run_at, j.id limit $2 * 2 + 8
    ) head
   where lanes.lane is not null
),
candidates as (
  select id, priority, run_at, turn, served_at from heads where turn <= $6
   order by turn, served_at, priority, run_at, id limit $2 * 2 + 8
),
picked as (
  select j.id from candidates c join jarvis.jobs j on j.id = c.id
   where j.state in ('available', 'retryable')
     and (j.run_at <= $3 or (j.state = 'available' and j.run_at <= j.created_at)
          or (j.state = 'retryable' and j.attempted_at > $3 + interval '5 minutes'))
   order by c.turn, c.served_at, c.priority, c.run_at, c.id limit $2
     for update of j skip locked
)
update jarvis.jobs j
   set state = 'running', attempt = j.attempt + 1, attempted_at = $3, leased_by = $5,
       lease_until = clock_timestamp() + make_interval(secs => $4)
  from picked where j.id = picked.id
returning j.id, j.kind, j.gym_id, j.args, j.attempt, j.max_attempts, j.run_at, j.attempted_at";

/// Prolongs the leases ($1 ids, $2 owners, pairwise) that are still held.
pub(crate) const RENEW: &str = "
update jarvis.jobs j set lease_until = clock_timestamp() + make_interval(secs => $3)
  from unnest($1::bigint[], $2::text[]) as held (id, owner)
 where j.id = held.id and j.leased_by = held.owner and j.state = 'running'
returning j.id";

/// Locks leases that ran out: their runner was killed or cut off. Not those that the asking runner holds ($1 ids, $2 owners,
/// pairwise).
pub(crate) const EXPIRED: &str = "
select id, leased_by, attempt, max_attempts from jarvis.jobs
 where state = 'running' and lease_until < clock_timestamp()
   and (id, leased_by) not in (select * from unnest($1::bigint[], $2::text[]))
 order by id limit 100 for update skip locked";

/// Locks a running job, if the owner still holds it.
pub(crate) const LOCK_HELD: &str = "
select id from jarvis.jobs where id = $1 and leased_by = $2 and state = 'running' for update";

/// A job enqueued while $1 was running is served by the next try of $1, which starts after it was committed and takes
/// its arguments: what was asked last counts.
pub(crate) const FOLD: &str = "
with folded as (
  update jarvis.jobs w
     set state = 'cancelled', finished_at = $2, last_error = 'folded into job ' || r.id
    from jarvis.jobs r
   where r.id = $1 and r.unique_key is not null and w.state in ('available', 'retryable')
     and w.kind = r.kind and w.lane = r.lane and w.unique_key = r.unique_key and w.id <> r.id
  returning w.id, w.args
)
update jarvis.jobs set args = (select args from folded order by id desc limit 1)
 where id = $1 and exists (select from folded)";

/// Gives up the lease; the job waits again. $3 state, $4 run_at (null: it was due already, and stays so by whatever clock), $5 attempts
/// given back, $6 reason, $7 now. `attempted_at` is then the instant from which the job waits: [`CLAIM`] compares the clock
/// with it, also after a try that is not listed in `errors`.
pub(crate) const RELEASE: &str = "
update jarvis.jobs
   set state = $3, run_at = coalesce($4, least(run_at, created_at)), attempt = attempt - $5, lease_until = null, leased_by = null,
       attempted_at = case when $3 = 'retryable' then $7 else attempted_at end, last_error = coalesce($6, last_error),
       -- A day of waiting must not fill the row: tries that do not count are not listed.
       errors = case when $6::text is null or $5 > 0 then errors else errors
                || jsonb_build_array(jsonb_build_object('attempt', attempt, 'at', $7::timestamptz, 'error', $6::text))
                end
 where id = $1 and leased_by = $2 and state = 'running'";

/// Ends a job. $3 state, $4 now, $5 reason.
pub(crate) const FINISH: &str = "
update jarvis.jobs
   set state = $3, finished_at = $4, lease_until = null, leased_by = null, last_error = $5,
       errors = case when $5::text is null then errors else errors
                || jsonb_build_array(jsonb_build_object('attempt', attempt, 'at', $4::timestamptz, 'error', $5::text))
                end
 where id = $1 and leased_by = $2 and state = 'running'";

/// Whether this transaction leads the schedules.
pub(crate) const LEAD: &str = "select pg_try_advisory_xact_lock(hashtextextended('jarvis.jobs:schedule', 0))";

/// Takes the tick $2 of the schedule $1 once. A stored tick further ahead than one interval ($3 = tick + interval)
/// was written by a clock that had jumped, and is replaced.
pub(crate) const TAKE_TICK: &str = "
insert into jarvis.job_schedules as s (name, last_tick) values ($1, $2)
on conflict (name) do update set last_tick = excluded.last_tick
  where s.last_tick < excluded.last_tick or s.last_tick > $3
returning name";

/// One page of jobs, newest first. Null = no filter; $4 = only ids below.
pub(crate) const LIST: &str = "
select id, kind, unique_key, gym_id, args, state, priority, attempt, max_attempts, run_at, lease_until, leased_by,
       attempted_at, finished_at, last_error, errors, created_at
  from jarvis.jobs
 where ($1::text is null or state = $1) and ($2::text is null or kind = $2) and ($3::uuid is null or gym_id = $3)
   and ($4::bigint is null or id < $4)
 order by id desc limit $5";

/// One job.
pub(crate) const FIND: &str = "
select id, kind, unique_key, gym_id, args, state, priority, attempt, max_attempts, run_at, lease_until, leased_by,
       attempted_at, finished_at, last_error, errors, created_at
  from jarvis.jobs where id = $1";

/// Number of jobs by kind and state.
pub(crate) const COUNTS: &str = "
select kind, state, count(*) as jobs, min(run_at) as oldest_run_at
  from jarvis.jobs group by kind, state order by kind, state";

/// Number of jobs that are not over, and of dead letters, by kind and state, and for how long the oldest of those that
/// wait is overdue at $1: since it came due, or since it waits again (`attempted_at`), unless a clock that had jumped said
/// so. A dead letter of last week that is tried again is not late by a week. Each branch has a partial index of its own; finished jobs are not looked at.
pub(crate) const BACKLOG: &str = "
with unfinished as (
  select kind, state, case when attempted_at <= $1 then greatest(run_at, attempted_at) else run_at end as run_at
    from jarvis.jobs where state in ('available', 'retryable')
  union all
  select kind, state, null from jarvis.jobs where state = 'running'
  union all
  select kind, state, null from jarvis.jobs where state = 'discarded'
)
select kind, state, count(*) as jobs,
       coalesce(greatest(extract(epoch from $1 - min(run_at)), 0), 0)::float8 as overdue_seconds
  from unfinished group by kind, state order by kind, state";

/// Makes one job due now, by whatever clock. A finished one starts again from its first try, unless its like waits already.
pub(crate) const RETRY_ONE: &str = "
update jarvis.jobs j
   set state = 'available', run_at = least(j.created_at, $2), attempted_at = $2, finished_at = null,
       attempt = case when j.state in ('available', 'retryable') then j.attempt else 0 end
 where j.id = $1 and j.state <> 'running'
   and not exists (select 1 from jarvis.jobs w where w.state in ('available', 'retryable') and w.id <> j.id
                     and w.kind = j.kind and w.lane = j.lane and w.unique_key = j.unique_key)
returning j.id";

/// Starts the dead letters again (of the kind $1, or all): the newest of each key, unless its like waits already.
pub(crate) const RETRY_DEAD: &str = "
update jarvis.jobs j
   set state = 'available', run_at = least(j.created_at, $2), attempted_at = $2, finished_at = null, attempt = 0
  from (select distinct on (kind, lane, coalesce(unique_key, id::text)) id from jarvis.jobs
         where state = 'discarded' and ($1::text is null or kind = $1)
         order by kind, lane, coalesce(unique_key, id::text), id desc) dead
 where j.id = dead.id and j.state = 'discarded'
   and not exists (select 1 from jarvis.jobs w where w.state in ('available', 'retryable')
                     and w.kind = j.kind and w.lane = j.lane and w.unique_key = j.unique_key)";

/// Cancels a job that waits.
pub(crate) const CANCEL: &str = "
update jarvis.jobs set state = 'cancelled', finished_at = $2
 where id = $1 and state in ('available', 'retryable')";

/// Deletes finished jobs: completed and cancelled before $1, discarded before $2.
pub(crate) const PRUNE: &str = "
delete from jarvis.jobs
 where (state in ('completed', 'cancelled') and finished_at < $1) or (state = 'discarded' and finished_at < $2)";

/// Tells the runners that jobs are due.
pub(crate) const NOTIFY: &str = "select pg_notify($1, '')";
