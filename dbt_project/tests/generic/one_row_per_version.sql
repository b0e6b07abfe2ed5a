{# Fails on versions that the candidates hold twice: the writer could not tell which to append. #}
{% test one_row_per_version(model) %}
select feature_id, version, ts, available_at
from {{ model }}
group by feature_id, version, ts, available_at
having count(*) > 1
{% endtest %}
