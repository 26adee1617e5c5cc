#!/bin/bash
# What scripts/debian/unpack.py leaves is what dpkg would have left: dpkg itself configures it, and
# then finds nothing amiss. With packages of our own that have what is easy to get wrong. The last line
# is "N passed, N failed".
set -u
cd "$(dirname "$0")/../.."
export LC_ALL=C
dir=$(mktemp -d "${TMPDIR:-/var/tmp}/dbt-unpack.XXXXXX")
trap 'rm -rf "$dir"' EXIT
root=$dir/root
passed=0
failed=0

ok() # NAME COMMAND...
{
    local name=$1
    shift
    if "$@" >"$dir/out" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $name: $*"
        tail -n 5 "$dir/out"
    fi
}

is() # TEXT COMMAND...
{
    local want=$1 got
    shift
    got=$("$@")
    [ "$got" = "$want" ] || { echo "'$got', not '$want'"; return 1; }
}

# As the fake root that unpacked it.
in_root() # COMMAND...
{
    fakeroot -i "$dir/state" -s "$dir/state" "$@"
}

dpkg_there() # OPTION...
{
    in_root dpkg --root="$root" --log=/dev/null --force-script-chrootless --force-not-root "$@"
}

# ---- Packages ---------------------------------------------------------------------------------

# Makes one of the folder $dir/NAME, whose files belong to root, but for the game.
build() # NAME FIELDS
{
    mkdir -p "$dir/$1/DEBIAN"
    printf 'Package: %s\nVersion: 1:2~3\nMaintainer: nobody <nobody@localhost>\n%b' "$1" "$2" \
        >"$dir/$1/DEBIAN/control"
    printf 'Description: a test\n More of it,\n .\n in paragraphs.\n' >>"$dir/$1/DEBIAN/control"
    (cd "$dir/$1" && find . -type f ! -path './DEBIAN/*' -printf '%P\n' | sort |
        xargs -r md5sum >DEBIAN/md5sums)
    fakeroot bash -euc 'chown -R 0:0 "$1"; [ ! -e "$1/usr/games/play" ] || {
        chown 0:60 "$1/usr/games/play"; chmod 2755 "$1/usr/games/play"; }
        dpkg-deb -Znone --build "$1" "$2"' - "$dir/$1" "$dir/$1.deb" >/dev/null
}

arch=$(dpkg --print-architecture)
# The links that make /bin part of /usr; a name that sorts before base-files.
mkdir -p "$dir/base-files/usr/bin" "$dir/base-files/usr/lib" "$dir/base-files/DEBIAN"
ln -s usr/bin "$dir/base-files/bin"
ln -s usr/lib "$dir/base-files/lib"
build base-files "Architecture: $arch\n"
# An old package, which has its file in /bin; conffiles, one of them gone.
mkdir -p "$dir/aaa/bin" "$dir/aaa/etc/aaa" "$dir/aaa/DEBIAN"
echo tool >"$dir/aaa/bin/tool"
echo one >"$dir/aaa/etc/aaa/one.conf"
echo two >"$dir/aaa/etc/aaa/two.conf"
printf '/etc/aaa/one.conf\n/etc/aaa/two.conf\nremove-on-upgrade /etc/aaa/old.conf\n' \
    >"$dir/aaa/DEBIAN/conffiles"
printf '# comment\ninterest-noawait /usr/share/watched\ninterest named\nactivate-noawait other\n' \
    >"$dir/aaa/DEBIAN/triggers"
# shellcheck disable=SC2016 # the script's own
printf '#!/bin/sh\n[ "$1" != triggered ] || touch "$DPKG_ROOT/etc/aaa/triggered"\n' \
    >"$dir/aaa/DEBIAN/postinst"
chmod 755 "$dir/aaa/DEBIAN/postinst"
build aaa "Architecture: all\nDepends: libzzz (= 1:2~3)\n"
# For several architectures; a name of more than one file; a file of a group's.
mkdir -p "$dir/libzzz/usr/lib" "$dir/libzzz/usr/games" "$dir/libzzz/DEBIAN"
echo library >"$dir/libzzz/usr/lib/libzzz.so.1"
ln "$dir/libzzz/usr/lib/libzzz.so.1" "$dir/libzzz/usr/lib/libzzz.hard"
ln -s libzzz.so.1 "$dir/libzzz/usr/lib/libzzz.so"
echo game >"$dir/libzzz/usr/games/play"
# shellcheck disable=SC2016 # the script's own
printf '#!/bin/sh\necho "$1 <$2>" >"$DPKG_ROOT/usr/lib/configured"\n' >"$dir/libzzz/DEBIAN/postinst"
chmod 755 "$dir/libzzz/DEBIAN/postinst"
build libzzz "Architecture: $arch\nMulti-Arch: same\n"
# What comes later, into the path that is watched.
mkdir -p "$dir/later/usr/share/watched"
echo new >"$dir/later/usr/share/watched/new"
build later "Architecture: all\n"

# ---- Unpacked, then configured by dpkg ----------------------------------------------------------

mkdir "$root"
ok 'unpack' fakeroot -s "$dir/state" scripts/debian/unpack.py "$root" "$dir"/{libzzz,aaa,base-files}.deb
ok 'a file that was in /bin' is tool cat "$root/usr/bin/tool"
ok 'the link stays' test -L "$root/bin"
ok 'owner, group and mode' is "0 60 2755" in_root stat -c '%u %g %a' "$root/usr/games/play"
ok 'a hard link' is 2 stat -c %h "$root/usr/lib/libzzz.hard"
ok 'no script ran' test ! -e "$root/usr/lib/configured"
ok 'status' is 'aaa:unpacked base-files:unpacked libzzz:unpacked ' \
    dpkg-query --admindir="$root/var/lib/dpkg" -W -f '${Package}:${db:Status-Status} '
ok 'configure' dpkg_there --configure -a
ok 'a new installation' is 'configure <>' cat "$root/usr/lib/configured"
ok 'configured' is 'aaa:installed base-files:installed libzzz:installed ' \
    dpkg-query --admindir="$root/var/lib/dpkg" -W -f '${Package}:${db:Status-Status} '
ok 'audit' is '' dpkg_there --audit
ok 'verify' is '' dpkg_there --verify
ok 'no question about a conffile' test -z "$(find "$root/etc" -name '*.dpkg-*')"
echo changed >"$root/etc/aaa/one.conf"
ok 'a changed conffile is known as one' grep -q 'c /etc/aaa/one.conf' <(dpkg_there --verify)
ok 'whose file' is "libzzz:$arch: /usr/lib/libzzz.so.1" dpkg_there -S /usr/lib/libzzz.so.1
ok 'files, folders first' is '/. /usr /usr/games /usr/games/play /usr/lib' \
    bash -c "dpkg --root='$root' -L libzzz | head -n 5 | xargs"
ok 'install another' dpkg_there --install "$dir/later.deb"
ok 'its trigger' test -e "$root/etc/aaa/triggered"
rm -f "$root/etc/aaa/triggered"
ok 'a trigger by name' in_root dpkg-trigger --admindir="$root/var/lib/dpkg" --by-package=later named
ok 'pending' dpkg_there --triggers-only -a
ok 'the trigger by name' test -e "$root/etc/aaa/triggered"
ok 'remove' dpkg_there --purge aaa
ok 'its conffiles are gone' test ! -e "$root/etc/aaa/one.conf" -a ! -e "$root/etc/aaa/two.conf"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
