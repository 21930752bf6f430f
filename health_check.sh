#!/usr/bin/env bash
# Is the service healthy? Exit code 0 if so, 1 with the reason on standard error if not.
# Usage: ./health_check.sh [base address, default http://127.0.0.1:$PORT]
set -euo pipefail

base="${1:-http://127.0.0.1:${PORT:-8000}}"

ask() { # path -> the body on standard output; fails unless the status is 200
  local answer status
  answer="$(curl --silent --show-error --max-time 5 --write-out '\n%{http_code}' "$base$1" 2>&1)" || {
    echo "unhealthy: $base$1 does not answer: ${answer%$'\n'*}" >&2
    return 1
  }
  status="${answer##*$'\n'}"
  answer="${answer%$'\n'*}"
  if [ "$status" != 200 ]; then
    echo "unhealthy: $base$1 answers $status: $answer" >&2
    return 1
  fi
  printf '%s\n' "$answer"
}

health="$(ask /api/health)"
ready="$(ask /api/health/ready)"
echo "$health"
echo "$ready"
