#!/bin/sh
# Installs fail2zig from a release: checks the signature and the checksum of what it installs, says
# what it will do, and takes it back with --uninstall.
#
#   sh install.sh [--from DIRECTORY|URL] [--key FILE] [--checksum-only] [--yes]
#   sh install.sh --uninstall [--yes]
#
# Exit status: 0 done, 1 refused or failed (nothing was installed), 2 misused.
set -eu

version='@VERSION@'
from='https://fail2zig.com/releases/@VERSION@'
# The public key of releases, for minisign.
public_key='@PUBLIC_KEY@'
key_file=''
checksum_only=no
uninstall=no
yes=no

usage() {
  sed -n '2,8s/^# \{0,1\}//p' "$0"
}
fail() {
  echo "install.sh: $1" >&2
  exit 1
}
misuse() {
  echo "install.sh: $1" >&2
  usage >&2
  exit 2
}

while [ $# -gt 0 ]; do
  case $1 in
    --from | --key)
      [ $# -ge 2 ] || misuse "$1 needs a value"
      if [ "$1" = --from ]; then from=$2; else key_file=$2; fi
      shift
      ;;
    --checksum-only) checksum_only=yes ;;
    --uninstall) uninstall=yes ;;
    --yes) yes=yes ;;
    --help) usage; exit 0 ;;
    *) misuse "unknown option \"$1\"" ;;
  esac
  shift
done

confirm() {
  echo "$1"
  [ "$yes" = no ] || return 0
  [ -t 0 ] || fail 'there is no terminal to ask at: add --yes'
  printf 'Go on? [y/N] '
  read -r answer
  case $answer in y | Y | yes) ;; *) fail 'stopped, nothing was changed' ;; esac
}

# --- The platform -------------------------------------------------------------------------------

[ "$(uname -s)" = Linux ] || fail "this is $(uname -s): fail2zig runs on Linux only"
case $(uname -m) in
  x86_64) architecture=amd64 ;;
  aarch64) architecture=arm64 ;;
  *) fail "there is no build for $(uname -m): x86_64 and aarch64 only" ;;
esac
if ! getconf GNU_LIBC_VERSION >/dev/null 2>&1; then
  fail 'this system has no glibc: fail2zig does not run with musl'
fi
[ "$(id -u)" = 0 ] || fail 'run this as root: it installs into the system'
deb=no
if command -v dpkg >/dev/null; then deb=yes; fi
prefix=/usr/local
# Where the archive has them, and where they go below the prefix.
pages='man bash-completion/completions zsh/vendor-completions:zsh/site-functions fish/vendor_completions.d'

# --- Taking it back -----------------------------------------------------------------------------

if [ "$uninstall" = yes ]; then
  if [ "$deb" = yes ]; then
    dpkg -s fail2zig >/dev/null 2>&1 || fail 'fail2zig is not installed'
    confirm 'This removes the package fail2zig with its configuration, state and bans.'
    dpkg --purge fail2zig
  else
    [ -x "$prefix/bin/fail2zig" ] || fail 'fail2zig is not installed'
    confirm "This removes $prefix/bin/fail2zig, its configuration, state and bans."
    if [ -d /run/systemd/system ]; then
      for unit in fail2zig-fleet fail2zig; do systemctl disable --now $unit.service || true; done
    fi
    "$prefix/bin/fail2zig" remove || echo 'install.sh: rules may be left in the kernel' >&2
    rm -rf "$prefix/bin/fail2zig" "$prefix/bin/fail2zig-client" "$prefix/bin/fail2zig-fleet" \
      /etc/systemd/system/fail2zig.service /etc/systemd/system/fail2zig-fleet.service \
      /etc/fail2zig.toml /etc/fail2zig.d /var/lib/fail2zig /var/lib/fail2zig-fleet /var/lib/private/fail2zig-fleet /run/fail2zig
    for place in $pages; do
      rm -f "$prefix/share/${place##*:}"/fail2zig* "$prefix/share/${place##*:}"/_fail2zig* \
        "$prefix/share/${place##*:}"/man[1-8]/fail2zig*
    done
    if getent group fail2zig >/dev/null; then groupdel fail2zig || true; fi
  fi
  echo 'fail2zig is gone.'
  exit 0
fi

# --- What is fetched, and whether it is what was released ---------------------------------------

if [ "$deb" = yes ]; then file=fail2zig_${version}_${architecture}.deb; else file=fail2zig_${version}_${architecture}.tar.gz; fi
if [ "$checksum_only" = no ] && ! command -v minisign >/dev/null; then
  fail 'minisign is needed to check the signature (package minisign on Debian, Fedora and Arch);
  with --checksum-only the checksum alone is checked: it shows a broken download, not a false one'
fi
if [ "$checksum_only" = no ] && [ -z "$key_file" ]; then
  case $public_key in '' | @*) fail 'this script has no public key in it: name one with --key' ;; esac
fi

case $from in
  http://* | https://*) where=$from ;;
  *) where=$(cd "$from" 2>/dev/null && pwd) || fail "there is no directory $from" ;;
esac
confirm "This installs fail2zig $version from $where:
  check      $([ "$checksum_only" = yes ] && echo 'SHA-256 only' || echo 'signature (minisign) and SHA-256')
  install    $([ "$deb" = yes ] && echo "the Debian package $file" || echo "$prefix/bin/fail2zig, $prefix/bin/fail2zig-client")
  configure  /etc/fail2zig.toml (an existing one stays)
  start      nothing; how to is said at the end"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM
fetch() {
  case $where in
    http://* | https://*)
      if command -v curl >/dev/null; then
        curl -fsSL --proto '=https' -o "$scratch/$1" "$where/$1"
      else
        wget -q -O "$scratch/$1" "$where/$1"
      fi
      ;;
    *) cp -- "$where/$1" "$scratch/$1" ;;
  esac || fail "cannot fetch $where/$1"
}
fetch SHA256SUMS
if [ "$checksum_only" = no ]; then
  fetch SHA256SUMS.minisig
  if [ -n "$key_file" ]; then
    minisign -V -q -p "$key_file" -m "$scratch/SHA256SUMS" || fail 'the signature is false: nothing was installed'
  else
    minisign -V -q -P "$public_key" -m "$scratch/SHA256SUMS" || fail 'the signature is false: nothing was installed'
  fi
fi
fetch "$file"
(cd "$scratch" && grep -e "  $file\$" SHA256SUMS >wanted && sha256sum --quiet -c wanted) ||
  fail "the checksum of $file is false: nothing was installed"

# --- Installing ---------------------------------------------------------------------------------

umask 022
if [ "$deb" = yes ]; then
  dpkg -i --force-confold "$scratch/$file"
else
  mkdir "$scratch/tree"
  tar -xzf "$scratch/$file" -C "$scratch/tree"
  mkdir -p "$prefix/bin"
  install -m 0755 "$scratch/tree/usr/bin/fail2zig" "$prefix/bin/fail2zig"
  ln -sf fail2zig "$prefix/bin/fail2zig-client"
  ln -sf fail2zig "$prefix/bin/fail2zig-fleet"
  for place in $pages; do
    mkdir -p "$prefix/share/${place##*:}"
    cp -R "$scratch/tree/usr/share/${place%%:*}/." "$prefix/share/${place##*:}"
  done
  if [ ! -e /etc/fail2zig.toml ]; then install -m 0644 -o root -g root "$scratch/tree/etc/fail2zig.toml" /etc/fail2zig.toml; fi
  mkdir -p -m 0755 /etc/fail2zig.d
  for unit in fail2zig fail2zig-fleet; do
    if [ -f "$scratch/tree/lib/systemd/system/$unit.service" ] && [ -d /etc/systemd/system ]; then
      sed "s,/usr/bin/,$prefix/bin/,g" "$scratch/tree/lib/systemd/system/$unit.service" >"/etc/systemd/system/$unit.service"
    fi
  done
  getent group fail2zig >/dev/null || groupadd --system fail2zig
  mkdir -p -m 0750 /var/lib/fail2zig
  echo 'fail2zig is installed and not started. Next:'
  echo '  fail2zig check --suggest                   prints a configuration for what this host runs'
  echo '  fail2zig check                             is /etc/fail2zig.toml right for this host?'
  echo '  systemctl enable --now fail2zig.service    start it, now and at every boot'
fi
