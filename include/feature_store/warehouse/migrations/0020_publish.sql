-- Points that people and programs publish: one more source, with a function of its own for the way in.

create table if not exists raw.published_points (
  published_id bigint generated always as identity primary key,
  feature_id text not null,
  version int not null,
  grain text not null check (grain in ('intraday', 'daily')),
  ts timestamptz not null,
  value double precision not null check (value > '-Infinity' and value < 'Infinity'),
  available_at timestamptz not null,
  available_basis text not null check (available_basis in ('stated', 'ingested')),
  is_provisional boolean not null,
  confidence double precision not null check (confidence between 0 and 1),
  meta jsonb not null,
  evidence jsonb not null,
  fetch_id bigint not null references raw.fetches,
  fetched_at timestamptz not null,
  xid xid8 not null default pg_current_xact_id(),
  unique (feature_id, version, ts, available_at, fetch_id),
  check (available_at <= fetched_at)
);
comment on table raw.published_points is
'Points as they were published, append-only. What said nothing new is not among them. Written by features.publish.';
comment on column raw.published_points.published_id is 'Order of publishing.';
comment on column raw.published_points.feature_id is 'The feature.';
comment on column raw.published_points.version is 'Version of the feature''s definition that it was published to.';
comment on column raw.published_points.grain is 'Partition of the feature tables: daily or intraday.';
comment on column raw.published_points.ts is 'The instant of the point, UTC.';
comment on column raw.published_points.value is 'The value in the feature''s unit.';
comment on column raw.published_points.available_at is
'When it was available, as its publisher stated it, or else when it was published, UTC.';
comment on column raw.published_points.available_basis is 'stated by the publisher, or ingested.';
comment on column raw.published_points.is_provisional is 'Whether the publisher will still change it.';
comment on column raw.published_points.confidence is 'The publisher''s confidence in it, 0 to 1.';
comment on column raw.published_points.meta is
'What the publisher said of it; who it was; and whether it overrides a connector.';
comment on column raw.published_points.evidence is 'What the publisher refers to, besides the request itself.';
comment on column raw.published_points.fetch_id is 'The request that brought it.';
comment on column raw.published_points.fetched_at is 'When it was published, by the store''s clock.';
comment on column raw.published_points.xid is 'Transaction that added the row: consumers read by it.';
create index if not exists published_points_xid on raw.published_points (xid);

create table if not exists ops.publishes (
  publish_id bigint generated always as identity primary key,
  key_id text not null,
  publisher text not null,
  idempotency_key text,
  sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
  fetch_id bigint not null references raw.fetches,
  mode text not null check (mode in ('all', 'each')),
  inserted int not null,
  duplicate int not null,
  failed int not null,
  answer jsonb not null,
  published_at timestamptz not null default ops.now(),
  unique (key_id, idempotency_key)
);
comment on table ops.publishes is
'Every request to publish that was accepted: who, what, and the answer. Append-only but for idempotency_key.';
comment on column ops.publishes.publish_id is 'Order of publishing.';
comment on column ops.publishes.key_id is 'The key it came with.';
comment on column ops.publishes.publisher is 'Name of the key then.';
comment on column ops.publishes.idempotency_key is
'What the publisher named the request, so that it may be sent again; null when it has no name, or lost it after seven days.';
comment on column ops.publishes.sha256 is 'The body''s hash, lower-case hex: its bytes are in raw.payloads.';
comment on column ops.publishes.fetch_id is 'The request among the fetches: evidence of its points.';
comment on column ops.publishes.mode is 'all: nothing is written when a point fails; each: what passes is written.';
comment on column ops.publishes.inserted is 'Points that became versions.';
comment on column ops.publishes.duplicate is 'Points that said what was held already.';
comment on column ops.publishes.failed is 'Points that broke a rule: they are in the answer.';
comment on column ops.publishes.answer is 'The answer as it was given, with each failed point and its reason.';
comment on column ops.publishes.published_at is 'When it was accepted, UTC, by the store''s clock.';
create index if not exists publishes_published_at on ops.publishes (published_at);

comment on column raw.fetches.rows_rejected is
'Rows in raw.rejects; of what was published, the points that failed, in ops.publishes.';

-- With its owner's rights, so that who publishes needs no other: every name in it says its schema.
create or replace function features.publish(
  of_key text, named text, once_key text, body bytea, body_size bigint, body_sha256 text, in_mode text,
  points jsonb, errors jsonb
)
returns table (outcome text, answer jsonb)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $$
declare
  told jsonb := jsonb_build_object(
    'inserted', 0, 'duplicate', 0, 'failed', jsonb_array_length(errors), 'errors', errors
  );
  earlier record;
  moment timestamptz;
  landed bigint;
  fresh bigint := 0;
  span record;
begin
  if once_key is not null then
    -- The same request at once: the second waits here, and then finds the first one's answer.
    perform pg_advisory_xact_lock(hashtextextended('ops.publishes/' || of_key || '/' || once_key, 0));
    select p.sha256, p.answer, p.published_at <= ops.now() - interval '7 days' as is_over into earlier
    from ops.publishes as p where p.key_id = of_key and p.idempotency_key = once_key;
    if found and not earlier.is_over then
      return query select case earlier.sha256 when body_sha256 then 'replayed' else 'mismatch' end, earlier.answer;
      return;
    end if;
  end if;
  if in_mode = 'all' and errors <> '[]' then
    return query select 'refused', told;
    return;
  end if;

  drop table if exists pg_temp.given_points, pg_temp.fresh_points;
  create temp table given_points on commit drop as
  select * from jsonb_to_recordset(points) as p (
    feature_id text, version int, grain text, ts timestamptz, value double precision, available_at timestamptz,
    available_basis text, is_provisional boolean, confidence double precision, meta jsonb, refs jsonb
  );
  create temp table fresh_points on commit drop as
  select *, null::jsonb as evidence from pg_temp.given_points where false;
  -- In the order in which append_versions does. What is held is compared, and now is taken, after the writer before.
  insert into ops.feature_writes (feature_id)
  select distinct feature_id from pg_temp.given_points order by 1 on conflict do nothing;
  perform from ops.feature_writes
  where feature_id in (select feature_id from pg_temp.given_points) order by feature_id for update;
  moment := ops.now();

  -- As a source's answers land: bytes that expired and come again are held again.
  insert into raw.payloads as held (sha256, content, size_bytes) values (body_sha256, body, body_size)
  on conflict (sha256) do update set content = excluded.content, uri = null, expired_at = null
  where held.expired_at is not null;
  insert into raw.fetches (source, stream, series, endpoint, url, content_type, sha256, fetched_at)
  values ('publish', 'points', of_key, 'publish', 'publish:' || of_key, 'application/json', body_sha256, moment)
  returning fetch_id into landed;

  -- A point is new unless the version before it, by availability, says the same; one that was backfilled counts from
  -- when it was ingested, as strict readers have it. Literal bounds let the planner prune partitions.
  for span in
    select p.grain, min(p.ts) as first_ts, max(p.ts) as last_ts from pg_temp.given_points as p group by p.grain
  loop
    execute format($sql$
      with told as (
        select p.*, coalesce(p.available_at, %1$L) as known_at, true as is_given, 'infinity'::timestamptz as ingested_at
        from pg_temp.given_points as p where p.grain = %2$L
      ),
      held as (
        select v.feature_id, v.version, v.ts, v.value, v.is_provisional, v.available_at as known_at, v.ingested_at,
               case v.available_basis when 'backfilled' then v.ingested_at else v.available_at end as counts_from
        from (
          select distinct g.feature_id, g.version, g.ts from pg_temp.given_points as g where g.grain = %2$L
        ) as p
        cross join lateral (
          -- Looked up by index, each for itself: nobody has analyzed what was given.
          select * from features.features_versions as w
          where w.grain = %2$L and w.ts between %3$L and %4$L
            and w.feature_id = p.feature_id and w.version = p.version and w.ts = p.ts
          offset 0
        ) as v
      ),
      both_of_them as (
        select feature_id, version, grain, ts, value, known_at, available_at, is_provisional, confidence, meta, refs,
               is_given, ingested_at, known_at as counts_from
        from told
        union all
        select feature_id, version, null, ts, value, known_at, null, is_provisional, null, null, null, false,
               ingested_at, counts_from
        from held
      ),
      compared as (
        select *,
          (lag(value) over history, lag(is_provisional) over history) is not distinct from (value, is_provisional)
          and lag(counts_from) over history <= known_at as says_the_same
        from both_of_them
        window history as (partition by feature_id, version, ts order by known_at, is_given, ingested_at)
      )
      insert into pg_temp.fresh_points
      select feature_id, version, grain, ts, value, known_at,
             case when available_at is null then 'ingested' else 'stated' end, is_provisional, confidence, meta, refs,
             jsonb_build_array(jsonb_build_object('fetch', %5$L::bigint)) || refs
      from compared where is_given and says_the_same is not true
    $sql$, moment, span.grain, span.first_ts, span.last_ts, landed);
  end loop;

  insert into raw.published_points
    (feature_id, version, grain, ts, value, available_at, available_basis, is_provisional, confidence, meta, evidence,
     fetch_id, fetched_at)
  select feature_id, version, grain, ts, value, available_at, available_basis, is_provisional, confidence, meta, refs,
         landed, moment
  from pg_temp.fresh_points order by feature_id, ts, available_at;
  if found then
    select written.inserted into fresh from features.append_versions('pg_temp.fresh_points') as written;
  end if;
  told := told || jsonb_build_object('inserted', fresh, 'duplicate', jsonb_array_length(points) - fresh);
  update raw.fetches set
    outcome = 'loaded', rows_fetched = jsonb_array_length(points) + jsonb_array_length(errors), rows_loaded = fresh,
    rows_duplicate = jsonb_array_length(points) - fresh, rows_rejected = jsonb_array_length(errors)
  where fetch_id = landed;

  update ops.publishes as p set idempotency_key = null where p.key_id = of_key and p.idempotency_key = once_key;
  insert into ops.publishes
    (key_id, publisher, idempotency_key, sha256, fetch_id, mode, inserted, duplicate, failed, answer)
  values (of_key, named, once_key, body_sha256, landed, in_mode, fresh, jsonb_array_length(points) - fresh,
          jsonb_array_length(errors), told);
  drop table pg_temp.given_points, pg_temp.fresh_points;
  return query select 'written', told;
end
$$;
comment on function features.publish(text, text, text, bytea, bigint, text, text, jsonb, jsonb) is
'Publish points in the caller''s transaction, with its owner''s rights: the body (zstd) as a payload, its fetch, what is new into raw.published_points and through append_versions, and an entry in ops.publishes. Takes the points that pass the rules of feature_store.serving.publishing (feature_id, version, grain, ts, value, available_at, is_provisional, confidence, meta, refs) and the failed ones as errors. Outcome: written; refused, when one failed in mode all; replayed, the answer to the same idempotency key within seven days; or mismatch, when that came with another body.';
revoke execute on function features.publish(text, text, text, bytea, bigint, text, text, jsonb, jsonb) from public;
