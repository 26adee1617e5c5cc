# A tree of files that git keeps, as everybody who looks at it must see it.
set -eu
cd "$TREE"
git() { command git -c safe.directory='*' "$@"; }
echo "status $(git status --porcelain=v2 --untracked-files=all | sha256sum)"
git status --porcelain | cut -c1-2 | sort | uniq -c
echo "diff $(git diff --no-color | sha256sum)"
echo "files $(find . -path ./.git -prune -o -printf '%p %y %s %m %U %G %n %T@ %l\n' | LC_ALL=C sort | sha256sum)"
echo "sums $(find . -path ./.git -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum)"
echo "tar $(tar --sort=name --exclude=./.git -cf - . | sha256sum)"
echo "count $(find . -path ./.git -prune -o -type f -print | wc -l)"
