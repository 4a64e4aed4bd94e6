-- What migrator needs, and nothing more; docs/privileges.md says which command needs which and why.
-- Read by tests/servers/accounts.py: the account is always 'migrator'@'%', and `shop`.* stands for each
-- schema that is to be migrated. Not ON *.*: who may write to the schema `mysql` is root.

-- The tables to migrate: reading, copying, shadows and their indexes, triggers, the swap.
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, TRIGGER, LOCK TABLES ON `shop`.* TO 'migrator'@'%';

-- The journal.
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, TRIGGER, LOCK TABLES ON `migrator`.* TO 'migrator'@'%';

-- Other sessions and their transactions (who blocks), every tablespace; replicas and binlog position.
GRANT PROCESS, REPLICATION CLIENT, REPLICATION SLAVE ON *.* TO 'migrator'@'%';

-- Keyring, metadata locks, members of a group.
GRANT SELECT ON performance_schema.* TO 'migrator'@'%';

-- General tablespaces and the tablespace `mysql`.
GRANT CREATE TABLESPACE ON *.* TO 'migrator'@'%';

-- Where table_encryption_privilege_check is ON: tables, schemas and tablespaces that are not as the default says.
GRANT TABLE_ENCRYPTION_ADMIN ON *.* TO 'migrator'@'%';

-- Prepared XA transactions: they block DDL and show nowhere else.
GRANT XA_RECOVER_ADMIN ON *.* TO 'migrator'@'%';
