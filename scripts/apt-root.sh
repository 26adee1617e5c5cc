# A private apt root for another architecture; for scripts that fetch a guest's packages: `. apt-root.sh`
#
# The caller has set suite, arch and work (a folder of its own; the root is $work/apt), and has
# die(). make_apt_root first, then private_apt COMMAND... or fetch_debs. DBT_MIRROR names another mirror than
# Debian's as this host's apt has it; the host's keyring for Debian goes with it.
#
# The root has the host's mirror, keyring and proxies and one foreign architecture. So it is apt
# that checks the index's signature and the hashes of the packages, and nothing about the host's
# own apt changes.
# shellcheck shell=bash disable=SC2154 # the caller's variables

# "URI SOURCE-FILE:ENTRY" of the Debian archive in the host's apt configuration.
host_mirror()
{
    # The `|| true` is for head, which may close the pipe first.
    # shellcheck disable=SC2016 # apt's own variables
    apt-get indextargets --format '$(REPO_URI) $(SOURCESENTRY)' \
        'Created-By: Packages' 'Origin: Debian' 'Label: Debian' 'Component: main' 2>/dev/null |
        grep -v '^cdrom:' | head -n 1 || true
}

# The Signed-By field, continuation lines and all, of entry N of an apt source file: N counts
# stanzas in a .sources file, lines in a .list file.
signed_by() # FILE N
{
    case $1 in
    *.sources)
        awk -v n="$2" '
            /^#/ { next }
            /^[ \t]*$/ { inside = 0; next }
            !inside { inside = 1; stanza++; keep = 0 }
            /^[^ \t]/ { keep = tolower($1) == "signed-by:" }
            keep && stanza == n { print }' "$1"
        ;;
    *)
        sed -n "$2s/^deb.*\\[.*signed-by=\\([^] ]*\\).*\\].*/Signed-By: \\1/p" "$1"
        ;;
    esac
}

write_sources() # OUT
{
    local mirror entry signed=

    read -r mirror entry <<<"$(host_mirror)"
    [ -n "$mirror" ] || die "apt on this host knows no Debian mirror: run 'apt-get update'" \
        "as root, or set DBT_MIRROR"
    signed=$(signed_by "${entry%:*}" "${entry##*:}")
    {
        printf 'Types: deb\nURIs: %s\nSuites: %s\n' "${DBT_MIRROR:-$mirror}" "$suite"
        printf 'Components: main\nArchitectures: %s\n' "$arch"
        [ -z "$signed" ] || printf '%s\n' "$signed"
    } >"$1"
}

# A configuration that holds the host's Acquire settings (proxies, retries) but none of its
# hooks, preferences, sources and extra indexes.
write_config() # ROOT OUT
{
    apt-config dump | grep '^Acquire::' |
        grep -Ev '^Acquire::(IndexTargets|Languages|Allow)' >"$2" || true
    cat >>"$2" <<END
Acquire::Languages "none";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
Acquire::Retries "3";
APT::Get::AllowUnauthenticated "false";
APT::Architecture "$arch";
APT::Architectures { "$arch"; };
APT::Update::Error-Mode "any";
// The usual user _apt may not enter a home folder.
APT::Sandbox::User "root";
Dir::State "$1/state";
Dir::State::status "$1/status";
Dir::Cache "$1/cache";
Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$1/sources";
END
}

private_apt() # COMMAND...
{
    APT_CONFIG=$work/apt/apt.conf "$@" >>"$work/apt/log" 2>&1 && return
    grep '^[EW]:' "$work/apt/log" >&2 || tail -n 5 "$work/apt/log" >&2
    die "'$*' failed for $suite $arch, see above"
}

make_apt_root()
{
    local root=$work/apt

    mkdir -p "$root/state/lists/partial" "$root/cache/archives/partial" "$root/sources"
    touch "$root/status" "$root/log"
    # A new machine has sources and no lists; only the lists tell which source is Debian's.
    if [ -z "$(host_mirror)" ] && [ "$(id -u)" -eq 0 ]; then
        apt-get -qq -o DPkg::Lock::Timeout=300 update >&2 || die "apt-get update failed, see above"
    fi
    write_sources "$root/sources/debian.sources"
    write_config "$root" "$root/apt.conf"
    private_apt apt-get update
}

# Fetches packages with all that they need into a folder that is kept; their paths go to $work/debs.
# A package is a word, or what apt takes for one: '?essential'.
fetch_debs() # ARCHIVES PACKAGE...
{
    local archives=$1

    shift
    mkdir -p "$archives/partial"
    private_apt apt-get -y --download-only --no-install-recommends -o "Dir::Cache::archives=$archives" \
        install "$@"
    # Older versions stay in the folder; apt says which it wants.
    APT_CONFIG=$work/apt/apt.conf apt-get -y --print-uris --no-install-recommends \
        -o "Dir::Cache::archives=$work/empty" install "$@" |
        sed -n "s|^'[^']*' \([^ ]*\) .*|$archives/\1|p" >"$work/debs"
    [ -s "$work/debs" ] || die "apt names no package"
}
