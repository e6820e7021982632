#!/usr/bin/env bash
# Deploys one environment of samconfig.toml: the stacks that outlive the application, the
# keyring where there is none yet, the application, and what watches it. Usage:
#
#   infra/deploy.sh [--dry-run] ENVIRONMENT
#
# With --dry-run every stack gets a change set that is shown and not executed.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
  echo "deploy: $*" >&2
  exit 1
}

dry_run=""
if [[ "${1:-}" == "--dry-run" ]]; then
  dry_run=yes
  shift
fi
[[ $# == 1 ]] || fail "usage: infra/deploy.sh [--dry-run] ENVIRONMENT"
environment="$1"

has_section() { grep -qF "[$1.deploy.parameters]" samconfig.toml; }

has_section "$environment" || fail "samconfig.toml has no environment $environment"
for tool in aws sam; do
  command -v "$tool" >/dev/null || fail "$tool is not installed: docs/deployment.md says where it comes from"
done
for main in functions/*/main.go; do
  function="$(basename "$(dirname "$main")")"
  [[ -f "build/$function/bootstrap" ]] || fail "build/$function/bootstrap is missing: run make bootstrap"
done

# The order matters: the application reads what the first stacks say, and the last one
# watches the application.
before="" after=""
for stack in data keys mail sms; do
  if has_section "$environment-$stack"; then before+=" $environment-$stack"; fi
done
if has_section "$environment-observability"; then after=" $environment-observability"; fi

account="$(aws sts get-caller-identity --query Account --output text)" ||
  fail "AWS does not know you: run aws configure, or set AWS_PROFILE"
region="${AWS_REGION:-${AWS_DEFAULT_REGION:-$(aws configure get region || true)}}"
[[ -n "$region" ]] || fail "there is no region: set AWS_REGION"
export AWS_REGION="$region" AWS_DEFAULT_REGION="$region" # version 1 of the AWS CLI reads only the second

plan() {
  echo "environment  $environment"
  echo "account      $account"
  echo "region       $region"
  echo "stacks      $before $environment$after"
  if [[ -n "$dry_run" ]]; then echo "dry run      change sets are made and not executed"; fi
}

# deploy takes the name of a section of samconfig.toml.
deploy() {
  echo
  echo "== $1"
  if [[ -n "$dry_run" ]]; then
    sam deploy --config-env "$1" --no-execute-changeset --no-confirm-changeset
  else
    sam deploy --config-env "$1"
  fi
}

# published prints what a stack says below the environment's path.
published() { aws ssm get-parameter --name "/stepup/$environment/$1" --query Parameter.Value --output text; }

is_published() { published "$1" >/dev/null 2>&1; }

# The keyring is made once, and never leaves the pipe. A second one would end every
# session and key, so what cannot be told for sure stops here.
ensure_keyring() {
  local secret versions
  secret="$(published keyring/arn)" || fail "it is not known where the keyring is"
  # shellcheck disable=SC2016 # the backquotes are JMESPath's
  versions="$(aws secretsmanager list-secret-version-ids --secret-id "$secret" \
    --query 'length(Versions || `[]`)' --output text)" || fail "it is not known whether there is a keyring"
  [[ "$versions" =~ ^[0-9]+$ ]] || fail "it is not known whether there is a keyring"
  if [[ "$versions" == 0 ]]; then
    echo
    echo "== keyring: there is none yet, so one is made"
    go run ./cmd/stepup keyring generate |
      aws secretsmanager put-secret-value --secret-id "$secret" --secret-string file:///dev/stdin >/dev/null
  fi
}

# section prints the text of a section of samconfig.toml.
section() { awk -v name="[$1.deploy.parameters]" '/^\[/ { inside = $0 == name } inside' samconfig.toml; }

# configuration prints what the function is configured with: parameters, what other stacks
# say, and which keyring.
configuration() {
  local name value secret
  section "$environment"
  for name in table/name table/arn bus/name key/arn; do
    value="$(published "$name")" || return
    echo "$name = $value"
  done
  secret="$(published keyring/arn)" || return
  value="$(aws secretsmanager list-secret-version-ids --secret-id "$secret" \
    --query "Versions[?contains(VersionStages, 'AWSCURRENT')].VersionId | [0]" --output text)" || return
  echo "keyring = $secret $value"
}

# preview deploys dry what reads values that may not be there yet.
preview() {
  local stack="$1" value
  shift
  for value in "$@"; do
    if ! is_published "$value"; then
      echo
      echo "== $stack: cannot be shown before what it reads is deployed ($value)"
      return
    fi
  done
  deploy "$stack"
}

plan
for stack in $before; do deploy "$stack"; done
if [[ -n "$dry_run" ]]; then
  preview "$environment" table/name keyring/arn
  for stack in $after; do preview "$stack" table/name app/api; done
  exit 0
fi
ensure_keyring
# SAM publishes a version when the code has changed, and a version keeps what it began
# with. So that a new parameter or keyring reaches the alias, it stands beside the code.
configuration >build/api/configuration || fail "it is not known what the function is configured with"
deploy "$environment"
for stack in $after; do deploy "$stack"; done
echo
echo "deployed: $(published app/url)"
echo "API keys: make api-key ENV=$environment"
