-- What the API may do in the database: one role reads, one publishes, and neither may more than it must.

create or replace function ops.make_role(role_name text) returns boolean
language plpgsql
as $$
begin
  -- Roles are the server's: a migration of another database may make the same one at this moment.
  if not exists (select from pg_roles where rolname = role_name) then
    execute format('create role %I nologin', role_name);
  end if;
  return true;
exception
  when duplicate_object or unique_violation then
    return true;
  when insufficient_privilege then
    return false;
end
$$;
comment on function ops.make_role(text) is 'Have a role that nobody logs in as; false where we may not make it.';

create or replace function ops.grant_roles() returns void
language plpgsql
as $$
declare
  of_function record;
begin
  -- What anybody could make, a function with its owner's rights might take for something else.
  execute format('revoke create, temporary on database %I from public', current_database());
  if to_regnamespace('public') is not null then
    revoke create on schema public from public;
  end if;
  -- Anybody may call a function unless told otherwise.
  revoke execute on all functions in schema registry, raw, staging, normalized, features, quality, ops from public;
  alter default privileges revoke execute on functions from public;

  if not (ops.make_role('feature_store_reader') and ops.make_role('feature_store_publisher')) then
    raise notice '% may not make the roles feature_store_reader and feature_store_publisher, so the API uses the login of the owner. Have an administrator make them (create role feature_store_reader nologin; create role feature_store_publisher nologin), then run: select ops.grant_roles()', current_user using errcode = 'FS001';
    return;
  end if;

  grant usage on schema registry, raw, features, quality, ops to feature_store_reader;
  grant select on all tables in schema registry, features, quality to feature_store_reader;
  -- dbt makes its tables and views anew, and partitions are made every day.
  alter default privileges in schema registry, features, quality grant select on tables to feature_store_reader;
  grant select on raw.fetches, raw.payloads to feature_store_reader;
  grant select on ops.clock, ops.migrations, ops.feature_writes, ops.retired_days, ops.iceberg_tables,
    ops.iceberg_namespace_properties to feature_store_reader;

  grant usage on schema features, ops to feature_store_publisher;
  grant select on ops.clock, ops.retired_days, ops.api_keys to feature_store_publisher;
  grant select, insert, update, delete on ops.api_leases to feature_store_publisher;
  grant select, insert, update on ops.api_reads to feature_store_publisher;

  for of_function in
    select oid::regprocedure as signature, granted.to_role
    from pg_proc inner join (
      values
      ('ops.now', 'feature_store_reader'),
      ('registry.normal_unit', 'feature_store_reader'),
      ('features.as_of', 'feature_store_reader'),
      ('features.as_stored', 'feature_store_reader'),
      ('features.latest_as_of', 'feature_store_reader'),
      ('features.closed_time', 'feature_store_reader'),
      ('ops.now', 'feature_store_publisher'),
      ('features.publish', 'feature_store_publisher')
    ) as granted (called, to_role) on granted.called = pronamespace::regnamespace || '.' || proname
  loop
    execute format('grant execute on function %s to %I', of_function.signature, of_function.to_role);
  end loop;
end
$$;
comment on function ops.grant_roles() is
'Make feature_store_reader and feature_store_publisher where that is allowed, and grant them what they need, and nobody anything else. Safe to run again: a migration that adds a function for them does.';

select ops.grant_roles();
