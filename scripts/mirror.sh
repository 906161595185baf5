#!/usr/bin/env bash
# Prints where this machine's apt gets Debian from, as lines of a sources.list: mirror.sh deb|deb-src
# For other roots, other machines' packages and sources: the system's own lists stay as they are. Of the
# release as it is with its last update; the archive of security updates is seldom mirrored whole.
set -euo pipefail

kind=${1:?deb or deb-src}
keys=/usr/share/keyrings/debian-archive-keyring.gpg
codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)

# Who made an archive is known once its lists were fetched.
targets()
{
    # shellcheck disable=SC2016 # apt's variables
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' "$@" |
        awk -v name="$codename" '$2 == name && $3 == "main"' | sort -u
}

found=$(targets 'Origin: Debian')
found=${found:-$(targets)}
[ -n "$found" ] || { echo "apt knows no archive of Debian $codename" >&2; exit 1; }
sed "s|^|$kind [signed-by=$keys] |" <<<"$found"
