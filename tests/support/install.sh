#!/usr/bin/env bash
# Installs those of the named Debian packages that are missing. Usage: install.sh PACKAGE...
set -euo pipefail

missing=()
for package in "$@"; do
  state=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$state" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

refuse() {
  echo "These packages are missing: ${missing[*]}" >&2
  echo "$1 Install them and run this again." >&2
  exit 1
}

command -v apt-get >/dev/null || refuse "This machine has no apt-get (the script knows Debian 12 only)."
as_root=()
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null || refuse "Installing needs root, and there is no sudo."
  as_root=(sudo)
fi
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300)

echo "installing: ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  refuse "apt-get failed (its last words are above)."
fi
