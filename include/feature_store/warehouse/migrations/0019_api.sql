-- Keys of the REST API, what they may spend in a minute over all its processes, and what they read: in real time.

create table if not exists ops.api_keys (
  key_id text primary key check (key_id ~ '^[0-9a-z]{8}$'),
  name text not null check (name <> ''),
  sha256 text not null unique check (sha256 ~ '^[0-9a-f]{64}$'),
  scopes text[] not null check (scopes <@ array['read', 'publish', 'admin'] and cardinality(scopes) > 0),
  rate_limit_rpm int check (rate_limit_rpm >= 0),
  created_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz,
  revoked_at timestamptz
);
comment on table ops.api_keys is
'Who may ask the REST API, and for what. Keys themselves are not held; rows are never deleted. Real time, never the store''s clock.';
comment on column ops.api_keys.key_id is 'The part of the key that may be told: fs_<key_id>_<secret>.';
comment on column ops.api_keys.name is 'Whose it is, for people; a key and the one that replaces it share it.';
comment on column ops.api_keys.sha256 is 'SHA-256 of the whole key, lower-case hex.';
comment on column ops.api_keys.scopes is 'What it allows: read, publish, admin; admin implies the others.';
comment on column ops.api_keys.rate_limit_rpm is
'Requests a minute; null: FEATURE_API_RATE_LIMIT_RPM; 0: as many as one likes.';
comment on column ops.api_keys.created_at is 'When it was made, UTC.';
comment on column ops.api_keys.expires_at is 'When it ends by itself, UTC; null: never.';
comment on column ops.api_keys.revoked_at is 'When somebody ended it, UTC; null: nobody did.';

create or replace function ops.tell_of_api_keys() returns trigger
language plpgsql
as $$ begin perform pg_notify('feature_store_api_keys', ''); return null; end $$;
comment on function ops.tell_of_api_keys() is 'Trigger: the processes of the API hold keys in memory, and read them anew.';
create or replace trigger tell_of_api_keys after insert or update or delete or truncate on ops.api_keys
for each statement execute function ops.tell_of_api_keys();

create table if not exists ops.api_leases (
  key_id text not null,
  minute timestamptz not null,
  granted int not null check (granted >= 0),
  block int not null check (block >= 0),
  primary key (key_id, minute)
);
comment on table ops.api_leases is
'What processes of the API took of a key''s requests of a minute, a block at a time: together never more than its limit. Rows of minutes long over are deleted. Real time.';
comment on column ops.api_leases.key_id is 'The key.';
comment on column ops.api_leases.minute is 'When the minute began, UTC.';
comment on column ops.api_leases.granted is 'How many requests all processes took so far.';
comment on column ops.api_leases.block is 'How many the last of them took.';

create table if not exists ops.api_reads (
  key_id text not null,
  minute timestamptz not null,
  endpoint text not null,
  requests bigint not null check (requests >= 0),
  points bigint not null check (points >= 0),
  primary key (key_id, minute, endpoint)
);
comment on table ops.api_reads is
'Who read how much: what each key was answered, by endpoint and minute. Processes add to it every few seconds. Real time.';
comment on column ops.api_reads.key_id is 'The key.';
comment on column ops.api_reads.minute is 'When the minute began, UTC.';
comment on column ops.api_reads.endpoint is 'The path that was asked, for example /v1/latest.';
comment on column ops.api_reads.requests is 'How many requests were answered.';
comment on column ops.api_reads.points is 'How many points the answers held.';
