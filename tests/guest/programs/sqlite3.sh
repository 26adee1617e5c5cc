# Fixed statements on a file, then all of the database as text, whose order is the version's affair.
set -eu
dir=$(mktemp -d)
sqlite3 "$dir/db" <"$(dirname "$0")/sqlite3.sql"
sqlite3 "$dir/db" .dump | LC_ALL=C sort | sha256sum
# Once more, from what was dumped.
sqlite3 "$dir/db" .dump | sqlite3 "$dir/again"
sqlite3 "$dir/again" 'pragma integrity_check' .dump | LC_ALL=C sort | sha256sum
rm -rf "$dir"
