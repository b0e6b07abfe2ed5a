-- One row: a version of a point of a feature, in the feature's unit, exact; null where the source said "not known".
{{ points_of('fred', 'observations', ['value'], states_unit=true) }}
