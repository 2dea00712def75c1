-- Which types of extensions does the target have? In the order of enum pg_extra
-- (tables/catalog.h).
select to_regtype('citext') is not null, to_regtype('hstore') is not null,
       to_regtype('ltree') is not null, to_regtype('geometry') is not null,
       to_regtype('geography') is not null, to_regtype('vector') is not null,
       to_regtype('halfvec') is not null, to_regtype('sparsevec') is not null,
       to_regtype('isbn') is not null;
