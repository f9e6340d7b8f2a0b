#!/bin/sh
# Makes the two roles and the database, once, when PostgreSQL's volume is new. tradefleet owns the
# database and changes its schema; tradefleet_app is the service: it owns nothing in it, and may make
# other databases, in which backups are tried out. Neither is a superuser.
set -eu
psql --no-psqlrc --variable=ON_ERROR_STOP=1 --variable=password="$POSTGRES_PASSWORD" \
    --variable=app_password="$POSTGRES_APP_PASSWORD" \
    --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
CREATE ROLE tradefleet LOGIN CREATEDB PASSWORD :'password';
CREATE ROLE tradefleet_app LOGIN CREATEDB PASSWORD :'app_password';
CREATE DATABASE tradefleet OWNER tradefleet;
-- What people ask as the owner is shown all users; row-level security would show it nobody's rows.
ALTER ROLE tradefleet IN DATABASE tradefleet SET tradefleet.scope = 'system';
-- Before a restore the owner may see whether the service is connected, and turn it out.
GRANT tradefleet_app TO tradefleet;
SQL
