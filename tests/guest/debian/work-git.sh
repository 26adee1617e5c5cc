# A history whose hash says that every object in it is right.
set -eu
dir=$(mktemp -d)
cd "$dir"
export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=c \
    GIT_COMMITTER_EMAIL=c@d
git -c init.defaultBranch=main init -q .
for n in 1 2 3 4 5; do
    seq "$n" 3 3000 >"file$n"
    seq 1 "$n" >same
    export GIT_AUTHOR_DATE="170000000$n +0000" GIT_COMMITTER_DATE="170000000$n +0000"
    git add .
    git commit -q -m "step $n"
done
git gc -q --aggressive
git fsck --strict 2>/dev/null
git --no-pager diff --no-color --stat=80 HEAD~3 HEAD
git rev-parse HEAD
rm -rf "$dir"
