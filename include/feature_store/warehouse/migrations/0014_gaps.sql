-- What is lost for good: a source answers only for its last days, and nobody asked it in time.

create table if not exists ops.gaps (
  source text not null,
  stream text not null,
  series text not null,
  since timestamptz not null,
  until timestamptz not null check (until > since),
  noticed_at timestamptz not null,
  reason text not null,
  primary key (source, stream, series, since)
);
comment on table ops.gaps is
'Spans of a series that no run asked for while its source still answered for them: they cannot be loaded from it any more.';
comment on column ops.gaps.source is 'Slug of the source.';
comment on column ops.gaps.stream is 'Stream of the source.';
comment on column ops.gaps.series is 'Series of the stream.';
comment on column ops.gaps.since is 'Where the last complete run ended, UTC.';
comment on column ops.gaps.until is
'From where the source still answered, UTC; it moves on for as long as the runs that ask from there fail.';
comment on column ops.gaps.noticed_at is 'When the first run came too late, UTC, by the store''s clock.';
comment on column ops.gaps.reason is 'Why the source could not be asked for it.';
