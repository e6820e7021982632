#!/usr/bin/env bash
# Issues an API key of a deployed environment and prints it. The first time it also issues
# the key with which new versions are tried. Usage:
#
#   infra/api-key.sh ENVIRONMENT [ROLE [NAME]]
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
  echo "api-key: $*" >&2
  exit 1
}

[[ $# -ge 1 && $# -le 3 ]] || fail "usage: infra/api-key.sh ENVIRONMENT [ROLE [NAME]]"
environment="$1" role="${2:-IAM_LOGIN_CLIENT}" name="${3:-login}"
command -v aws >/dev/null || fail "aws is not installed: docs/deployment.md says where it comes from"

published() {
  aws ssm get-parameter --name "/stepup/$environment/$1" --query Parameter.Value --output text ||
    fail "$environment is not deployed, or not in this account and region"
}

STEPUP_TABLE="$(published table/name)"
STEPUP_KEYRING="$(published keyring/arn)"
smoke="$(published smoke-key/arn)"
url="$(published app/url)"
export STEPUP_TABLE STEPUP_KEYRING

# shellcheck disable=SC2016 # the backquotes are JMESPath's
versions="$(aws secretsmanager list-secret-version-ids --secret-id "$smoke" \
  --query 'length(Versions || `[]`)' --output text)" || fail "it is not known whether there is a key for trials"
if [[ "$versions" == 0 ]]; then
  go run ./cmd/stepup key create --role IAM_LOGIN_CLIENT --name smoke |
    aws secretsmanager put-secret-value --secret-id "$smoke" --secret-string file:///dev/stdin >/dev/null
fi

key="$(go run ./cmd/stepup key create --role "$role" --name "$name")"
echo "URL=$url"
echo "KEY=$key"
