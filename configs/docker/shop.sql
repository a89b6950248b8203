create table orders (id serial primary key, customer text not null, total numeric(10,2) default 0, note text);
create table customers (id serial primary key, name text not null);
insert into customers (name) values ('Ada'), ('Grace');
insert into orders (customer, total) values ('Ada', 12.50), ('Grace', 7.25);
alter user shop with replication;
