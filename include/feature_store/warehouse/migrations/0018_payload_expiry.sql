-- Bytes of answers expire by `payloads` of their streams in the catalog; hash, size and fetches stay.

alter table raw.payloads add column if not exists expired_at timestamptz;
comment on column raw.payloads.content is 'The answer, zstd-compressed; null once moved to S3 or expired.';
comment on column raw.payloads.uri is
'Where the bytes lie in S3 once moved; where they expired, until they are deleted there.';
comment on column raw.payloads.expired_at is
'When the store let go of the bytes, by `payloads` of their streams, UTC, by its clock; null while it has them.';

-- Nothing but expiry lets go of bytes.
alter table raw.payloads drop constraint if exists payloads_lie_somewhere_or_expired;
alter table raw.payloads add constraint payloads_lie_somewhere_or_expired
check (case when expired_at is null then content is not null or uri is not null else content is null end);

create index if not exists payloads_to_delete on raw.payloads (sha256) where expired_at is not null and uri is not null;
