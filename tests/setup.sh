#!/usr/bin/env bash
# Fetches the real FTP servers for the tests into tests/.servers: vsftpd, ProFTPD, Pure-FTPd, pyftpdlib.
#
#   tests/setup.sh            fetches what is missing; returns at once if nothing is
#   tests/setup.sh --force    starts again from nothing
#
# Installs nothing and does not need root. Debian's packages of the three servers exclude each other, so they
# are unpacked side by side, with the libraries that the system lacks; pyftpdlib goes into a virtual
# environment. The tests call this script.
#
# The tests start .servers/bin/{vsftpd,proftpd,pure-ftpd,python}. .servers/pam/pam_unix.so is there if the
# system has none, and .servers/stamp if the setup is complete.
set -euo pipefail
umask 022

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
base=$here/.servers
pyftpdlib='pyftpdlib>=2.0,<3'

fail() {
    printf 'tests/setup.sh: %s\n' "$@" >&2
    exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# The stamp is the sum of this script: a changed script sets up again.
sum=$(cksum <"${BASH_SOURCE[0]}")
complete() {
    [[ -f $base/stamp ]] || return 1
    local first program
    read -r first <"$base/stamp" || return 1
    [[ $first == "$sum" ]] || return 1
    for program in vsftpd proftpd pure-ftpd python; do
        [[ -x $base/bin/$program ]] || return 1
    done
}

case ${1-} in
'')
    if complete; then
        tail -n +2 "$base/stamp"
        exit 0
    fi
    ;;
--force) ;;
*) fail "unknown argument '$1'; usage: tests/setup.sh [--force]" ;;
esac

have perl || fail 'perl is missing (the tests make password hashes with it): install the package perl-base'
have flock || fail 'flock is missing: install the package util-linux'
mkdir -p "$base" || fail "cannot create $base"
exec 9>"$base/lock"
flock 9
if [[ ${1-} != --force ]] && complete; then # another process did it while this one waited
    tail -n +2 "$base/stamp"
    exit 0
fi
rm -rf "${base:?}"/{stamp,stamp.new,bin,root,lib,pam,debs,apt,venv,python-packages,logs}
mkdir -p "$base"/{bin,root,lib,debs,logs}

# ---- packages ------------------------------------------------------------------------------------------

apt=()
if [[ $(id -u) == 0 ]]; then
    apt+=(-o APT::Sandbox::User=root) # .servers need not be readable for the user _apt
fi
private_lists=no

# Private package lists, beside the system's, need no root and change nothing there.
update_lists() {
    [[ $private_lists == no ]] || return 1
    private_lists=yes
    mkdir -p "$base"/apt/{state/lists/partial,cache/archives/partial}
    local status
    status=$(apt-config shell status Dir::State::status/f)
    eval "$status"
    apt+=(-o "Dir::State=$base/apt/state" -o "Dir::State::status=$status" -o "Dir::Cache=$base/apt/cache")
    echo 'tests/setup.sh: fetching package lists' >&2
    apt-get "${apt[@]}" -qq update >"$base/logs/update.log" 2>&1 || return 1
}

# download PACKAGE...: fetches and unpacks; renews the lists if they are missing or outdated.
download() {
    local dir=$base/debs log=$base/logs/download.log deb
    have apt-get && have dpkg-deb || return 1
    rm -f "$dir"/*.deb
    if ! (cd "$dir" && apt-get "${apt[@]}" -qq download "$@") >"$log" 2>&1; then
        update_lists || return 1
        rm -f "$dir"/*.deb
        (cd "$dir" && apt-get "${apt[@]}" -qq download "$@") >"$log" 2>&1 || return 1
    fi
    for deb in "$dir"/*.deb; do
        dpkg-deb -x "$deb" "$base/root" || return 1
    done
    rm -f "$dir"/*.deb
}

# Prints the libraries that PROGRAM does not find, in the system or in .servers/lib.
lacking() {
    LD_LIBRARY_PATH=$base/lib ldd "$1" 2>/dev/null | awk '/=> not found/ { print $1 }' | sort -u
}

# Copies the unpacked LIBRARY to .servers/lib; fails if there is none.
take_library() {
    local found
    found=$(find "$base/root" -name "$1" -print -quit)
    [[ -n $found ]] || return 1
    cp -L "$found" "$base/lib/$1"
}

depends_of() {
    apt-cache "${apt[@]}" depends --no-pre-depends --no-recommends --no-suggests --no-conflicts --no-breaks \
        --no-replaces --no-enhances "$@" 2>/dev/null |
        awk '/Depends:/ && $2 ~ /^lib/ && $2 !~ /[<>]/ { print $2 }' | sort -u
}

# add_libraries PROGRAM PACKAGE: unpacks the libraries that the program lacks, level by level of its
# dependencies.
add_libraries() {
    local program=$1 level=("$2") lack library wanted depth package
    for depth in 1 2 3 4; do
        lack=$(lacking "$program")
        [[ -n $lack ]] || return 0
        mapfile -t level < <(depends_of "${level[@]}")
        wanted=()
        for package in "${level[@]}"; do
            # Installed libraries are found already; unpacking a library again costs little.
            [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || wanted+=("$package")
        done
        if ((${#wanted[@]})); then
            download "${wanted[@]}" || return 1
        fi
        # An unpacked library may itself lack libraries that came with it.
        while lack=$(lacking "$program") && [[ -n $lack ]]; do
            local took=no
            while read -r library; do
                if take_library "$library"; then took=yes; fi
            done <<<"$lack"
            [[ $took == yes ]] || break
        done
    done
    [[ -z $(lacking "$program") ]]
}

declare -A path_of

# add_server PROGRAM PACKAGE: makes .servers/bin/PROGRAM start the unpacked server or, if that fails, the
# installed one.
add_server() {
    local program=$1 package=$2 path='' installed lack
    if download "$package" && [[ -x $base/root/usr/sbin/$program ]]; then
        path=$base/root/usr/sbin/$program
        if ! add_libraries "$path" "$package"; then
            lack=$(lacking "$path")
            path=''
        fi
    fi
    if [[ -z $path ]]; then
        installed=$(PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin command -v "$program" || true)
        if [[ -n $installed ]]; then
            path_of[$program]=$installed
            printf 'exec %q "$@"\n' "$installed" | wrapper "$program"
            return
        fi
        if [[ -n ${lack-} ]]; then
            fail "$program lacks libraries that the dependencies of the package $package do not bring:" "${lack//$'\n'/ }"
        fi
        have apt-get && have dpkg-deb ||
            fail "$program is missing: without apt-get and dpkg-deb it cannot be fetched; install it so that it is in PATH or /usr/sbin"
        cat "$base"/logs/*.log >&2 2>/dev/null || true
        fail "$program is missing: 'apt-get download $package' failed (above)." \
            "Provide package sources that have $package and a network, or install $program into PATH or /usr/sbin."
    fi
    path_of[$program]=$path
    # shellcheck disable=SC2016 # expanded by the wrapper
    printf '%s\n' 'here=$(cd "$(dirname "$0")/.." && pwd)' \
        'export LD_LIBRARY_PATH="$here/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"' \
        "exec \"\$here/root/usr/sbin/$program\" \"\$@\"" | wrapper "$program"
}

wrapper() {
    { echo '#!/bin/sh' && cat; } >"$base/bin/$1"
    chmod +x "$base/bin/$1"
}

add_server vsftpd vsftpd
add_server proftpd proftpd-core
add_server pure-ftpd pure-ftpd

# vsftpd asks PAM for passwords. Every Debian has the modules of PAM, unless it was made very small.
if ! compgen -G '/lib*/security/pam_unix.so' >/dev/null &&
    ! compgen -G '/lib/*/security/pam_unix.so' >/dev/null &&
    ! compgen -G '/usr/lib*/security/pam_unix.so' >/dev/null &&
    ! compgen -G '/usr/lib/*/security/pam_unix.so' >/dev/null; then
    download libpam-modules || fail 'pam_unix.so is missing: install the package libpam-modules'
    module=$(find "$base/root" -path '*/security/pam_unix.so' -print -quit)
    [[ -n $module ]] || fail 'pam_unix.so is missing: install the package libpam-modules'
    add_libraries "$module" libpam-modules || fail "pam_unix.so lacks libraries: $(lacking "$module")"
    mkdir -p "$base/pam"
    cp -L "$module" "$base/pam/"
fi

# ---- pyftpdlib -----------------------------------------------------------------------------------------

have python3 || fail 'python3 is missing (for pyftpdlib): install the packages python3 and python3-venv'
pip_log=$base/logs/pip.log
pip=(-m pip --disable-pip-version-check --quiet install "$pyftpdlib")
if python3 -m venv "$base/venv" >"$pip_log" 2>&1; then
    "$base/venv/bin/python" "${pip[@]}" >"$pip_log" 2>&1 || {
        cat "$pip_log" >&2
        fail "pyftpdlib is missing: 'pip install $pyftpdlib' failed (above); provide a network and a package index"
    }
    # shellcheck disable=SC2016 # expanded by the wrapper
    printf '%s\n' 'here=$(cd "$(dirname "$0")/.." && pwd)' 'exec "$here/venv/bin/python" "$@"' | wrapper python
else
    rm -rf "$base/venv"
    python3 "${pip[@]}" --target "$base/python-packages" >>"$pip_log" 2>&1 || {
        cat "$pip_log" >&2
        fail "pyftpdlib is missing: neither a virtual environment nor 'pip install --target' worked (above)." \
            'Install the package python3-venv.'
    }
    # shellcheck disable=SC2016 # expanded by the wrapper
    printf '%s\n' 'here=$(cd "$(dirname "$0")/.." && pwd)' 'export PYTHONPATH="$here/python-packages"' \
        'exec python3 "$@"' | wrapper python
fi

# ---- does each start? ----------------------------------------------------------------------------------

# verify NAME PATTERN COMMAND...: fails unless the pattern (of sed) finds a version in the output of the
# command.
verify() {
    local name=$1 pattern=$2 output version
    shift 2
    output=$("$@" 2>&1 </dev/null || true)
    version=$(sed -nE "s/$pattern/\\1/p" <<<"$output" | head -n 1)
    if [[ -z $version ]]; then
        printf '%s\n' "$output" >&2
        fail "$name does not start: '$*' prints no version (above)"
    fi
    echo "$name $version ready" >>"$base/stamp.new"
}

# This server writes to its standard input, which is the connection if inetd starts it.
vsftpd_version() { "$base/bin/vsftpd" -v 0>&1; }

# Only root gets the version from its help; any help shows that the server starts.
pure_ftpd_version() {
    if "$base/bin/pure-ftpd" --help; then grep -ao 'pure-ftpd v[0-9][0-9.]*' "${path_of[pure-ftpd]}"; fi
}

echo "$sum" >"$base/stamp.new"
verify vsftpd '.*version ([0-9][0-9.]*).*' vsftpd_version
verify proftpd '.*Version ([0-9][0-9.a-z]*).*' "$base/bin/proftpd" -v
verify pure-ftpd '.*pure-ftpd v([0-9][0-9.]*).*' pure_ftpd_version
verify pyftpdlib '^([0-9][0-9.]*)$' "$base/bin/python" -c 'import pyftpdlib.servers; print(pyftpdlib.__ver__)'

rm -rf "$base/debs" "$base/apt" "$base/logs"
mv "$base/stamp.new" "$base/stamp"
tail -n +2 "$base/stamp"
