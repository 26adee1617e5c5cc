# Histories whose hashes say that every object in them is right.
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
git --no-pager diff --no-color --stat=80 HEAD~3 HEAD
# A thousand more, two branches, and their merge.
awk 'BEGIN {
    for (n = 1; n <= 1000; n++) {
        branch = n % 4 ? "main" : "side"
        printf "commit refs/heads/%s\ncommitter c <c@d> %d +0100\ndata <<E\ncommit %d\nE\n", branch, 1700001000 + n, n
        if (n == 1 || n == 4)
            print "from refs/heads/main^0"
        printf "M 100644 inline %s/dir%d/file%d\ndata <<E\n", branch, n % 20, n % 90
        for (i = 0; i < 20; i++)
            print (n * 7919 + i * 104729) % 1000003
        print "E\n"
    }
}' | git fast-import --quiet
git reset -q --hard
export GIT_AUTHOR_DATE='1700009999 +0000' GIT_COMMITTER_DATE='1700009999 +0000'
git merge -q -m merge side
git rev-parse HEAD main~10 side
git rev-list --count HEAD
git gc -q --aggressive
git fsck --strict 2>/dev/null
git clone -q . copy
git -C copy rev-parse HEAD origin/side
git -C copy log --format=%H%s | sha256sum
git archive HEAD | tar xO | sha256sum
git blame --line-porcelain main/dir1/file1 | sha256sum
git bisect start HEAD HEAD~300 >/dev/null
git bisect run sh -c 'test "$(git rev-list --count HEAD)" -lt 600' | grep 'is the first bad commit'
git bisect reset 2>/dev/null
rm -rf "$dir"
