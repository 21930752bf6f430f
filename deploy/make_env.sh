#!/usr/bin/env bash
# Writes .env for compose.yaml, with new secrets. Without a name: for this machine alone, at https://localhost, without
# accounts. With one: for the public, with accounts and a certificate for that name.
# Usage: deploy/make_env.sh [NAME, such as captions.example.org]
set -euo pipefail
cd "$(dirname "$0")/.."

if [ -e .env ]; then
  echo ".env is there already, and its secrets are in use: remove it first to begin from nothing." >&2
  exit 1
fi
name="${1:-localhost}"
if ! [[ "$name" =~ ^[A-Za-z0-9.-]+$ ]]; then
  echo "'$name' is no host name; write it without scheme and port, such as captions.example.org." >&2
  exit 1
fi
secret() { head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n'; }

umask 077
{
  echo "# Settings of compose.yaml and, as in .env.example, of the service. Keep it secret, and keep a copy."
  echo "SITE_ADDRESS=$name"
  echo "POSTGRES_PASSWORD=$(secret)"
  echo "AUTH_SECRET=$(secret)"
  echo "GRAFANA_PASSWORD=$(secret)"
  if [ "$name" = localhost ]; then
    echo "# Only this machine reaches it; 0.0.0.0: all."
    echo "BIND_ADDRESS=127.0.0.1"
    echo "AUTH_MODE=open"
  else
    echo "BIND_ADDRESS=0.0.0.0"
    echo "HSTS_SECONDS=31536000"
    echo "AUTH_MODE=required"
  fi
} > .env
echo "wrote .env for https://$name"
