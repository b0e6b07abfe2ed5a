-- Who serves the newest points from memory is told when they, or the clock that makes them stale, have changed.

create or replace function ops.tell_latest() returns trigger language plpgsql as $$
begin
  perform pg_notify('features_latest', '');
  return null;
end
$$;
comment on function ops.tell_latest() is
'Trigger: tells listeners of features_latest, when the transaction commits, that features.latest says something else.';

create or replace trigger tell_latest after insert or update or delete on features.latest_values
for each statement execute function ops.tell_latest();
comment on trigger tell_latest on features.latest_values is 'Tells listeners of features_latest.';

create or replace trigger tell_latest after update on ops.clock
for each statement execute function ops.tell_latest();
comment on trigger tell_latest on ops.clock is 'Tells listeners of features_latest: points age by this clock.';

-- A feature's definition in the catalog has its period and its ttl.
create or replace trigger tell_latest after insert or update or delete on registry.features_catalog
for each statement execute function ops.tell_latest();
comment on trigger tell_latest on registry.features_catalog is 'Tells listeners of features_latest.';
