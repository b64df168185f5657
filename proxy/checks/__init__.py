"""What `pgveil check` looks at beyond a policy's own files: one module for each sort of finding.

`files` says what is no policy file by its name, `names` holds names against the catalogue, `fit` what rules ask of
columns, `cover` what no rule covers or the veil refuses, `bypass` what goes around the veil in the database, `probes`
whether PostgreSQL takes a policy's own SQL.
"""
