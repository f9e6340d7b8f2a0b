#!/bin/sh
# Makes the role and the database of the service, once, when PostgreSQL's volume is new: a role that
# owns its database, may make others (backups are tried out in one), and is no superuser.
set -eu
psql --no-psqlrc --variable=ON_ERROR_STOP=1 --variable=password="$POSTGRES_PASSWORD" \
    --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
CREATE ROLE tradefleet LOGIN CREATEDB PASSWORD :'password';
CREATE DATABASE tradefleet OWNER tradefleet;
SQL
