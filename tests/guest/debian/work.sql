create table t (n integer primary key, word text, part real);
with recursive c(n) as (select 1 union all select n + 1 from c where n < 20000)
    insert into t select n, printf('w%x', n * 7919 % 4096), n / 7.0 from c;
create index by_word on t (word);
select count(*), count(distinct word), max(word), sum(n * n % 1013) from t;
select word, count(*), printf('%.6f', sum(part)) from t group by word order by 2 desc, 1 limit 5;
update t set word = word || n where n % 3 = 0;
select count(*) from t a join t b on a.word = b.word and a.n < b.n;
pragma integrity_check;
