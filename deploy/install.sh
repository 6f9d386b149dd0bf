#!/usr/bin/env bash
# Installs podwright on a Debian machine as a control plane or as a node, and starts it.
#
#   install.sh control [SETTINGS]   the control plane; prints how a node joins it
#   install.sh agent   [SETTINGS]   a node; on first use with the join command's settings
#   install.sh remove               stops both and removes the program; state and settings stay
#
# SETTINGS are those of `podwright control --help` or `podwright agent --help`. They are written to
# /etc/podwright/ROLE.toml and replace the ones of an earlier run; without any, the file stays as
# it is. Examples:
#
#   deploy/install.sh control --advertise-address 192.0.2.10
#   deploy/install.sh agent --join https://192.0.2.10:6443 --token TOKEN --ca-hash sha256:HASH
#
# Safe to run again: it brings everything up to date and restarts only what has changed. PODWRIGHT_SOURCE
# names another checkout or a wheel to install from; the default is the checkout this script is in.
set -euo pipefail

here=$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")" && pwd)
source=${PODWRIGHT_SOURCE:-$(dirname -- "$here")}
prefix=/opt/podwright
venv=$prefix/venv
etc=/etc/podwright
units=/etc/systemd/system
PATH=$PATH:/usr/sbin:/sbin # `su` without a dash leaves them out

say() { printf 'podwright: %s\n' "$*"; }
die() { printf 'podwright: error: %s\n' "$1" >&2; [ $# -lt 2 ] || printf 'hint: %s\n' "$2" >&2; exit 1; }
usage() { sed -n '2,/^set /{/^set /d; s/^# \{0,1\}//; p}' "${BASH_SOURCE[0]}"; }
running_systemd() { [ -d /run/systemd/system ]; }

# -- packages of the system ----------------------------------------------------------------------

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

missing_packages() {
    local package
    for package in python3-venv ca-certificates; do
        installed "$package" || echo "$package"
    done
    [ "$1" = agent ] || return 0
    # Docker's own packages serve as well as Debian's.
    command -v dockerd >/dev/null || echo docker.io
    # Without its parser every container fails to start on a stock Debian kernel.
    installed apparmor || echo apparmor
    installed iptables || echo iptables
}

install_packages() {
    local missing
    mapfile -t missing < <(missing_packages "$1")
    [ ${#missing[@]} -gt 0 ] || return 0
    say "installing system packages: ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq -o DPkg::Lock::Timeout=300 update </dev/null
    apt-get -qq -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "${missing[@]}" \
        </dev/null >/dev/null
}

# -- the program ---------------------------------------------------------------------------------

# Everything that ends up in the environment, and the Python it is made for.
fingerprint() {
    /usr/bin/python3 --version
    if [ -d "$source" ]; then
        (cd -- "$source" && find pyproject.toml base api control agent netplugin local cli \
            -type f ! -name '*.pyc' -print0 | sort -z | xargs -0 sha256sum)
    else
        sha256sum <"$source"
    fi
}

install_program() {
    local now wheels
    [ -e "$source" ] || die "there is nothing to install at $source"
    /usr/bin/python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        die "Python 3.11 or later is needed, found $(/usr/bin/python3 --version)"
    now=$(fingerprint | sha256sum)
    if [ "$now" = "$(cat "$prefix/fingerprint" 2>/dev/null)" ] && "$venv/bin/podwright" version >/dev/null 2>&1; then
        say "the program is up to date: $("$venv/bin/podwright" version)"
        return 0
    fi
    say "installing podwright into $prefix (this may take a minute)"
    install -d -m 0755 "$prefix"
    rm -f "$prefix/fingerprint"
    "$venv/bin/python" -m pip --version >/dev/null 2>&1 || /usr/bin/python3 -m venv --clear "$venv"
    wheels=$(mktemp -d)
    # By way of a wheel, so that the checkout stays untouched. Twice: once for what it depends on,
    # once to replace an installed program that has the same version number.
    "$venv/bin/python" -m pip wheel -q --disable-pip-version-check --no-deps -w "$wheels" "$source"
    "$venv/bin/python" -m pip install -q --disable-pip-version-check "$wheels"/podwright-*.whl
    "$venv/bin/python" -m pip install -q --disable-pip-version-check --no-deps --force-reinstall "$wheels"/podwright-*.whl
    rm -rf "$wheels"
    ln -sfn "$venv/bin/podwright" /usr/local/bin/podwright
    [ ! -f "$source/README.md" ] || install -m 0644 "$source/README.md" "$prefix/README.md"
    printf '%s\n' "$now" >"$prefix/fingerprint"
    say "installed $("$venv/bin/podwright" version)"
}

# -- settings ------------------------------------------------------------------------------------

# `--name value`, `--name=value` and `--switch` as TOML; a setting given several times is a list.
# podwright itself checks names and values, and says which line of the file is wrong.
as_toml() {
    local name value
    local -A values=() counts=()
    local -a names=()
    while [ $# -gt 0 ]; do
        case $1 in
            --*=*) name=${1%%=*} value=${1#*=} ;;
            --*)
                name=$1 value=true
                if [ $# -gt 1 ] && [[ $2 != --* ]]; then
                    value=$2
                    shift
                fi
                ;;
            *) die "expected a setting such as --node-name NAME, found '$1'" ;;
        esac
        shift
        name=${name#--}
        value=${value//\\/\\\\}
        value=\"${value//\"/\\\"}\"
        [ -n "${counts[$name]:-}" ] || names+=("$name")
        counts[$name]=$((${counts[$name]:-0} + 1))
        values[$name]=${values[$name]:+${values[$name]}, }$value
    done
    for name in "${names[@]}"; do
        value=${values[$name]}
        [ "${counts[$name]}" -eq 1 ] || value="[$value]"
        printf '%s = %s\n' "$name" "$value"
    done
}

# 0600: an agent's settings hold its join token.
write_settings() {
    local role=$1 file=$etc/$1.toml new
    shift
    install -d -m 0755 "$etc"
    if [ $# -eq 0 ]; then
        [ -e "$file" ] || [ "$role" = control ] ||
            die "a node needs to know which cluster to join" \
                "Run \`podwright token create\` on the control machine, then: $0 agent --join ... --token ... --ca-hash ..."
        return 0
    fi
    # Made before anything is replaced, so that a mistake in the arguments leaves the old file.
    new=$(printf '# Written by install.sh. For every setting: podwright %s --help\n' "$role" && as_toml "$@")
    if [ "$new" != "$(cat "$file" 2>/dev/null)" ]; then
        say "writing $file"
        (umask 077 && printf '%s\n' "$new" >"$file.new")
        mv -f "$file.new" "$file"
    fi
}

# -- the service ---------------------------------------------------------------------------------

# True when the service runs and has started after the last change of the program, its settings and
# its unit. Told from times, not from what this run did: an earlier run may have been interrupted, or
# have installed the program for the other role.
up_to_date() {
    local unit=podwright-$1.service started file current=yes
    systemctl is-active --quiet "$unit" || return 1
    started=$(mktemp)
    touch -d "$(systemctl show --timestamp=us+utc -P ExecMainStartTimestamp "$unit")" "$started"
    for file in "$prefix/fingerprint" "$units/$unit" "$etc/$1.toml"; do
        [ ! "$file" -nt "$started" ] || current=
    done
    rm -f "$started"
    [ -n "$current" ]
}

install_service() {
    local unit=podwright-$1.service
    cmp -s "$here/$unit" "$units/$unit" || install -D -m 0644 "$here/$unit" "$units/$unit"
    install -d -m 0755 /var/lib/podwright
    if ! running_systemd; then
        say "systemd does not run here: $unit is installed but not started"
        return 0
    fi
    systemctl daemon-reload
    systemctl enable --quiet "$unit"
    [ "$1" = control ] || systemctl enable --quiet --now docker.service
    if ! up_to_date "$1"; then
        say "starting $unit"
        systemctl restart "$unit" || {
            journalctl --no-pager -n 20 -u "$unit" >&2 || true
            die "$unit did not start" "The lines above say why; \`journalctl -u $unit\` has the rest."
        }
    fi
    say "$unit is running"
}

remove() {
    local unit
    for unit in podwright-agent.service podwright-control.service; do
        [ -e "$units/$unit" ] || continue
        ! running_systemd || systemctl disable --quiet --now "$unit"
        rm -f "$units/$unit"
    done
    ! running_systemd || systemctl daemon-reload
    rm -rf "$prefix"
    [ ! -L /usr/local/bin/podwright ] || rm -f /usr/local/bin/podwright
    say "removed; settings are still in $etc, state in /var/lib/podwright"
}

# -- the steps -----------------------------------------------------------------------------------

role=${1:-}
case $role in
    control | agent | remove) shift ;;
    -h | --help) usage && exit 0 ;;
    *) usage >&2 && exit 2 ;;
esac
case " $* " in *" --help "* | *" -h "*) usage && exit 0 ;; esac
[ "$(id -u)" -eq 0 ] || die "this needs root" "Run it with sudo, or as root."
if [ "$role" = remove ]; then
    remove
    exit 0
fi
command -v apt-get >/dev/null || die "this installs on Debian and its relatives only"

write_settings "$role" "$@" # first, so that a mistake in the arguments costs no time
install_packages "$role"
install_program
install_service "$role"
if [ "$role" = control ]; then
    say "kubectl: export KUBECONFIG=$etc/admin.kubeconfig"
    say "to join a node: run \`podwright token create\` here, then \`deploy/install.sh agent\` with its settings there"
fi
