-- The collation of text keys: by the characters' numbers, blanks at the end included where the server
-- has such a one.
select collation_name from information_schema.collations
where collation_name in ('utf8mb4_0900_bin', 'utf8mb4_nopad_bin', 'utf8mb4_bin')
order by collation_name = 'utf8mb4_bin' limit 1
