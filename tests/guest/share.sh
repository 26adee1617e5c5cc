#!/bin/bash
# Debian's kernel with shared folders: the guest (share/init) reads, writes and renames, and we
# look at what it saw and left. The last line is "N passed, N failed".
#
#     [FILES=400] tests/guest/share.sh [./dbt-run [OPTION...]]
set -u
cd "$(dirname "$0")/../.."
export LC_ALL=C
run=$(realpath "${1:-${DBT:-./dbt-run}}")
shift
files=${FILES:-400}
dir=$(mktemp -d "${TMPDIR:-/var/tmp}/dbt-share.XXXXXX")
trap 'rm -rf "$dir"' EXIT
. tests/guest/tally.sh

# ---- The folders ---------------------------------------------------------------------------

tree=$dir/tree
mkdir -p "$tree/many" "$dir/ro" "$dir/outside"
echo secret >"$dir/outside/secret"
echo 'read only' >"$dir/ro/file"
echo 'from the host' >"$tree/greeting"
ln -s greeting "$tree/link-in"
ln -s /secret "$tree/link-absolute"
ln -s ../outside/secret "$tree/link-up"
echo x >"$tree/attributes"
[ "$(id -u)" != 0 ] || chown 1234:4321 "$tree/attributes"
chmod 4640 "$tree/attributes"
touch -d @1000000000 "$tree/attributes"
truncate -s $((5 << 30)) "$tree/sparse"
printf end | dd of="$tree/sparse" bs=1 seek=$(((5 << 30) - 3)) conv=notrunc status=none
echo hard >"$tree/hard"
ln "$tree/hard" "$tree/hard-too"
python3 - "$tree/many" "$files" <<'end-of-python'
import os, random, sys
root, n = sys.argv[1], int(sys.argv[2])
r = random.Random(1)
for i in range(n):
    folder = os.path.join(root, str(i % 20), str(i % 7)) if i % 3 else os.path.join(root, str(i % 20))
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "file-%d" % i), "wb") as f:
        f.write(r.randbytes(r.choice((0, 1, 100, 4095, 4096, 4097, 9000))))
end-of-python
find "$dir/ro" "$dir/outside" -exec stat -c '%n %s %f %Y %Z' {} + | sort >"$dir/before"

stat -c '%a %u %g %Y' "$tree/attributes" >"$dir/expected-attributes"
files=("$dir/expected-attributes:/expected-attributes")
for module in "$(scripts/fetch-guest.sh --print MODULES)"/*.ko; do
    case ${module##*/} in
    virtio_mmio.ko | fuse.ko | virtiofs.ko) files+=("$module:/modules/$(basename "$module")") ;;
    esac
done
scripts/make-initramfs.sh "$dir/initrd" tests/guest/share/init "${files[@]}" || exit 2

# ---- The run ----------------------------------------------------------------------------------

# The host's part while the guest runs.
(
    for _ in $(seq 1200); do
        [ ! -e "$tree/out/ready" ] || break
        sleep 0.2
    done
    echo changed >"$tree/greeting.new"
    mv "$tree/greeting.new" "$tree/greeting"
    echo 'while it runs' >"$tree/answer"
) &
beside=$!
# Not ours: what the guest makes has the mode that it asked for.
umask 077
start=$(date +%s%N)
timeout "${SECONDS_MAX:-200}" "$run" -kernel "$(scripts/fetch-guest.sh --print KERNEL)" \
    -initrd "$dir/initrd" -append "console=ttyS0 quiet" -serial stdio --share "$tree,tag=tree" \
    --share "$dir/ro,tag=second,ro" "$@" </dev/null >"$dir/log" 2>&1
status=$?
echo "the guest ran for $((($(date +%s%N) - start) / 1000000)) ms"
kill "$beside" 2>/dev/null
ok "status $status" [ "$status" = 0 ]
ok 'the guest came to its end' grep -q '^test: done' "$dir/log"
while read -r line; do
    ok "$line" [ "${line##* }" = ok ]
done < <(tr -d '\r' <"$dir/log" | grep '^test: .* ')
grep '^share:' "$dir/log"
[ "$failed" = 0 ] || tail -n 80 "$dir/log"

# ---- What it saw and left ---------------------------------------------------------------------------

holds() # FILE TEXT
{
    [ "$(cat "$tree/out/$1")" = "$2" ]
}

stat_is() # FILE FORMAT TEXT
{
    local got

    got=$(stat -c "$2" "$tree/out/$1")
    echo "$1: $got"
    [ "$got" = "$3" ]
}

(cd "$tree/many" && find . -type f -print0 | sort -z | xargs -0 sha256sum) >"$dir/sums"
(cd "$tree/many" && find . -print0 | sort -z | xargs -0 stat -c '%n %s %f %u %g %h %Y') >"$dir/attributes"
(cd "$tree" && tar cf - many | tar tf - | sort) >"$dir/names"
ok 'every file read' cmp "$dir/sums" "$tree/out/sums"
ok 'every attribute' cmp "$dir/attributes" "$tree/out/attributes"
ok 'tar' cmp "$dir/names" "$tree/out/names"
ok 'written' holds written 'from the guest'
ok 'appended' holds appended $'one\ntwo'
ok 'overwritten' holds over 012XY56789
ok 'large' [ "$(sha256sum <"$tree/out/large")" = "$(cat "$tree/out/large-sum")" ]
ok 'cut' holds cut 0123
ok 'grown' stat_is grown %s 4194304
ok 'folders' [ -d "$tree/out/a/b/c" ]
ok 'mode of a folder' stat_is open %a 1777
ok 'mode' stat_is mode %a 604
ok "the guest's umask" stat_is umask %a 664
ok "not the host's umask" stat_is no-umask %a 666
ok 'setuid' stat_is written %a 644
ok 'no device' [ ! -e "$tree/out/device" ]
ok 'fifo' [ -p "$tree/out/fifo" ]
ok 'symlink' [ "$(readlink "$tree/out/link")" = ../../outside/secret ]
ok 'hard link' stat_is again %h 2
ok 'time' stat_is cut %Y "$(date -u -d '2001-02-03 04:05:06' +%s)"
ok 'renamed' holds y x
ok 'renamed over' holds q a
ok 'written into a renamed folder' holds e/f $'in\nmore'
ok 'owner' stat_is written %u "$(id -u)"
ok '190 files at once' [ "$(find "$tree/out/open" -type f | wc -l)" = 190 ]
find "$dir/ro" "$dir/outside" -exec stat -c '%n %s %f %Y %Z' {} + | sort >"$dir/after"
ok 'nothing else was touched' cmp "$dir/before" "$dir/after"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
