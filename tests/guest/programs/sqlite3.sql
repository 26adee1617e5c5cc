create table t (n integer primary key, word text, part real);
with recursive c(n) as (select 1 union all select n + 1 from c where n < 20000)
    insert into t select n, printf('w%x', n * 7919 % 4096), n / 8.0 from c;
create index by_word on t (word);
create table log (at integer primary key, what text not null, n integer references t);
create trigger logs after update of word on t begin
    insert into log (what, n) values (old.word || '>' || new.word, new.n);
end;
select count(*), count(distinct word), max(word), sum(n * n % 1013) from t;
select word, count(*), printf('%.6f', sum(part)) from t group by word order by 2 desc, 1 limit 5;
update t set word = word || n where n % 3 = 0;
select count(*) from t a join t b on a.word = b.word and a.n < b.n;
begin;
delete from t where n % 7 = 0;
select count(*) from t;
rollback;
select count(*) from t;
delete from t where n % 11 = 5;
select word, n, sum(n) over (partition by length(word) order by n rows 3 preceding) from t order by word limit 5 offset 4000;
create view v as select substr(word, 1, 2) w, json_group_array(n) a from t where n < 300 group by 1;
select w, a, json_array_length(a) from v order by 3 desc, 1 limit 3;
create virtual table f using fts5(body);
insert into f select 'the word ' || word || ' and number ' || n from t where n % 50 = 0;
select count(*) from f where f match 'number';
drop table f;
create table blobs as select n, zeroblob(n % 64) || x'c0ffee' b from t where n % 100 = 1;
-- As text, fractions are not the same in all versions; sums of them are.
select sum(part), avg(part), round(max(part) / 3, 3) from t;
update t set part = part * 8;
vacuum;
pragma integrity_check;
select count(*) from pragma_foreign_key_check;
