-- What customers see: orders and their lines, carts, sessions, and the events that all of them make.
CREATE SCHEMA shop DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci;

CREATE TABLE shop.customers (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT,
  email VARCHAR(120) NOT NULL,
  name VARCHAR(80) NOT NULL COMMENT 'as the customer spells it, emoji and all',
  country CHAR(2) CHARACTER SET ascii NOT NULL DEFAULT 'DE',
  born_on DATE DEFAULT NULL,
  rating FLOAT DEFAULT NULL,
  interests SET('garden', 'kitchen', 'music', 'books', 'bikes') NOT NULL DEFAULT '',
  profile JSON DEFAULT NULL,
  remarks VARCHAR(400) DEFAULT NULL,
  created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  email_domain VARCHAR(120) GENERATED ALWAYS AS (SUBSTRING_INDEX(email, '@', -1)) VIRTUAL,
  PRIMARY KEY (id),
  UNIQUE KEY by_email (email),
  KEY by_domain (email_domain, id),
  KEY by_name (name(12))
) ENGINE=InnoDB STATS_PERSISTENT=1 COMMENT='one row a person';
INSERT INTO shop.customers (id, email, name, country, born_on, rating, interests, profile, remarks, created_at)
SELECT n, CONCAT('customer', LPAD(n, 7, '0'), '@', ELT(1 + n % 4, 'example.com', 'example.net', 'mail.example', 'post.example')),
  CONCAT(ELT(1 + n % 6, 'Åsa', 'José', 'Łukasz', '李', 'O''Hara', 'Zoë 🌷'), ' ', ELT(1 + n % 5, 'Meyer', 'van Dijk', 'Nguyễn', 'Öztürk', 'Smith')),
  ELT(1 + n % 5, 'DE', 'NL', 'VN', 'TR', 'GB'), IF(n % 9, DATE '1950-01-01' + INTERVAL n % 20000 DAY, NULL),
  IF(n % 7, n % 40 / 8, NULL), n % 32,
  IF(n % 5, JSON_OBJECT('langs', JSON_ARRAY('de', 'en'), 'score', n % 1000, 'seen', n % 2 = 0), NULL),
  IF(n % 3, CONCAT('called on ', n % 28 + 1, ' about ', REPEAT('the delivery, ', 8 + n % 8)), NULL),
  TIMESTAMP '2019-01-01 00:00:00' + INTERVAL n * 7919 SECOND + INTERVAL n MICROSECOND
FROM loading.n WHERE n <= 32000;

CREATE TABLE shop.products (
  id MEDIUMINT UNSIGNED NOT NULL AUTO_INCREMENT,
  sku CHAR(12) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  name VARCHAR(100) NOT NULL,
  price DECIMAL(10,2) NOT NULL,
  weight_kg DOUBLE DEFAULT NULL,
  description TEXT,
  available BIT(1) NOT NULL DEFAULT b'1',
  PRIMARY KEY (id),
  UNIQUE KEY by_sku (sku),
  KEY by_description (description(40))
) ENGINE=InnoDB;
INSERT INTO shop.products
SELECT n, CONCAT('SKU-', LPAD(n, 8, '0')), CONCAT(ELT(1 + n % 4, 'Chair ', 'Kettle ', 'Fahrrad ', 'Lampe '), n), n % 5000 + 0.99,
  IF(n % 6, n % 400 / 16, NULL), IF(n % 4, CONCAT('Model ', n, ' ', REPEAT('solid and light, ', 1 + n % 8)), NULL), n % 2
FROM loading.n WHERE n <= 5000;

CREATE TABLE shop.prices (
  product_id MEDIUMINT UNSIGNED NOT NULL,
  currency ENUM('EUR', 'USD', 'GBP', 'JPY') NOT NULL,
  valid_from DATE NOT NULL,
  price DECIMAL(12,4) NOT NULL,
  PRIMARY KEY (product_id, currency, valid_from),
  CHECK (price >= 0)
) ENGINE=InnoDB COMMENT='its CHECK has no name of its own';
INSERT INTO shop.prices
SELECT n DIV 4 + 1, n % 4 + 1, DATE '2020-01-01' + INTERVAL n % 3 YEAR, n % 10000 + 0.1234 FROM loading.n WHERE n <= 8000;

CREATE TABLE shop.orders (
  id BIGINT NOT NULL AUTO_INCREMENT,
  order_no VARCHAR(20) CHARACTER SET ascii NOT NULL,
  customer_id INT UNSIGNED NOT NULL,
  status ENUM('new', 'paid', 'packed', 'sent', 'returned') NOT NULL DEFAULT 'new',
  total DECIMAL(12,2) NOT NULL DEFAULT '0.00',
  placed_at DATETIME(3) NOT NULL,
  note VARCHAR(200) DEFAULT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY by_number (order_no),
  KEY by_customer (customer_id, placed_at DESC)
) ENGINE=InnoDB;
INSERT INTO shop.orders
SELECT n, CONCAT('ORD-', LPAD(n, 9, '0')), n * 17 % 32000 + 1, n % 5 + 1, n % 90000 / 100,
  TIMESTAMP '2021-01-01 08:00:00' + INTERVAL n * 1511 SECOND + INTERVAL n * 1000 MICROSECOND,
  IF(n % 4, CONCAT('leave it with the neighbour at number ', n % 200, IF(n % 8, '', ' 🙂')), NULL)
FROM loading.n WHERE n <= 80000;

CREATE TABLE shop.order_lines (
  order_id BIGINT NOT NULL,
  line_no SMALLINT NOT NULL,
  product_id MEDIUMINT UNSIGNED NOT NULL,
  quantity INT NOT NULL,
  price DECIMAL(10,2) NOT NULL,
  amount DECIMAL(14,2) GENERATED ALWAYS AS (quantity * price) STORED,
  engraving VARCHAR(120) DEFAULT NULL,
  PRIMARY KEY (order_id, line_no),
  KEY by_product (product_id)
) ENGINE=InnoDB;
INSERT INTO shop.order_lines (order_id, line_no, product_id, quantity, price, engraving)
SELECT (n + 2) DIV 3, (n + 2) % 3 + 1, n * 31 % 5000 + 1, n % 9 + 1, n % 20000 / 100,
  CONCAT('for my ', ELT(1 + n % 4, 'mother', 'Großvater', 'cat', 'old self'), ', no ', n, ', with ', REPEAT('love, ', 2 + n % 9))
FROM loading.n WHERE n <= 210000;

CREATE TABLE shop.carts (
  cart_id VARCHAR(36) NOT NULL,
  customer_id INT UNSIGNED DEFAULT NULL,
  content JSON NOT NULL,
  changed_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
  PRIMARY KEY (cart_id),
  KEY by_customer (customer_id)
) ENGINE=InnoDB;
INSERT INTO shop.carts
SELECT INSERT(INSERT(INSERT(INSERT(LEFT(SHA2(CONCAT('cart', n), 256), 32), 9, 0, '-'), 14, 0, '-'), 19, 0, '-'), 24, 0, '-') AS id,
  IF(n % 6, n, NULL), JSON_OBJECT('items', JSON_ARRAY(n % 5000, n % 4999), 'notes', REPEAT(CONCAT('gift ', n, ' '), 25 + n % 20)),
  TIMESTAMP '2025-01-01 00:00:00' + INTERVAL n MINUTE
FROM loading.n WHERE n <= 26000 ORDER BY id;

CREATE TABLE shop.sessions (
  token VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  customer_id INT UNSIGNED DEFAULT NULL,
  state VARBINARY(400) NOT NULL,
  expires_at TIMESTAMP(6) NOT NULL,
  PRIMARY KEY (token),
  KEY by_expiry (expires_at)
) ENGINE=InnoDB;
INSERT INTO shop.sessions
SELECT SHA2(CONCAT('session', n), 256) AS token, IF(n % 3, n % 32000, NULL), UNHEX(REPEAT(SHA2(n, 256), 4 + n % 6)),
  TIMESTAMP '2025-06-01 00:00:00' + INTERVAL n * 13 SECOND + INTERVAL n MICROSECOND
FROM loading.n WHERE n <= 40000 ORDER BY token;

CREATE TABLE shop.events (
  id BIGINT NOT NULL AUTO_INCREMENT,
  customer_id INT UNSIGNED NOT NULL,
  kind VARCHAR(24) CHARACTER SET ascii NOT NULL,
  happened_at DATETIME NOT NULL,
  detail VARCHAR(120) DEFAULT NULL,
  PRIMARY KEY (id),
  KEY by_customer (customer_id)
) ENGINE=InnoDB;
INSERT INTO shop.events
SELECT n * 3 - IF(n % 10 = 0, 2, 0), n * 7 % 32000 + 1, ELT(1 + n % 5, 'seen', 'searched', 'put-in-cart', 'paid', 'left'),
  TIMESTAMP '2023-01-01 00:00:00' + INTERVAL n * 197 SECOND, IF(n % 4, CONCAT('page ', n % 977, ' from ', n % 61), NULL)
FROM loading.n WHERE n <= 400000;

CREATE TABLE shop.`order` (
  id INT NOT NULL AUTO_INCREMENT,
  `key` VARCHAR(30) NOT NULL,
  `values` TEXT,
  `desc` DATETIME DEFAULT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY `unique` (`key`)
) ENGINE=InnoDB COMMENT='every name in it is a reserved word, and one key is 0';
INSERT INTO shop.`order`
SELECT n - 1, CONCAT('key ', LPAD(n, 6, '0')), IF(n % 3, REPEAT('value ', n % 20), NULL), IF(n % 2, TIMESTAMP '2024-01-01 00:00:00' + INTERVAL n HOUR, NULL)
FROM loading.n WHERE n <= 600;

CREATE TABLE shop.`we ird-näme` (
  `schlüssel %s` VARCHAR(24) COLLATE utf8mb4_de_pb_0900_ai_ci NOT NULL,
  `"quoted"` INT NOT NULL,
  `back``tick` VARCHAR(40) DEFAULT NULL,
  PRIMARY KEY (`schlüssel %s`)
) ENGINE=InnoDB;
INSERT INTO shop.`we ird-näme`
SELECT CONCAT(ELT(1 + n % 4, 'größe', 'straße', 'müll', 'öl'), ' ', LPAD(n, 5, '0')), n, IF(n % 5, CONCAT('50% of ', n, ' %s'), NULL)
FROM loading.n WHERE n <= 500;

CREATE TABLE shop.`50%_off` (
  code VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_swedish_ci NOT NULL,
  percent TINYINT UNSIGNED NOT NULL,
  ends TIME(2) DEFAULT NULL,
  year_made YEAR NOT NULL,
  PRIMARY KEY (code)
) ENGINE=InnoDB;
INSERT INTO shop.`50%_off`
SELECT CONCAT('Früh', LPAD(n, 6, '0')), n % 100, IF(n % 3, SEC_TO_TIME(n * 37.25), NULL), 2000 + n % 30 FROM loading.n WHERE n <= 800;

CREATE TABLE shop.reviews (
  id INT NOT NULL AUTO_INCREMENT,
  product_id MEDIUMINT UNSIGNED NOT NULL,
  title VARCHAR(100) NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (id),
  FULLTEXT KEY by_words (title, body)
) ENGINE=InnoDB;
INSERT INTO shop.reviews
SELECT n, n % 5000 + 1, CONCAT(ELT(1 + n % 3, 'Good', 'Bad', 'Ugly'), ' chair ', n), CONCAT('It ', ELT(1 + n % 4, 'broke', 'shines', 'squeaks', 'arrived'), ' after ', n % 40, ' days')
FROM loading.n WHERE n <= 1500;

CREATE TABLE shop.stores (
  id SMALLINT NOT NULL AUTO_INCREMENT,
  name VARCHAR(60) NOT NULL,
  place POINT NOT NULL SRID 4326,
  floor_plan GEOMETRY DEFAULT NULL,
  PRIMARY KEY (id),
  SPATIAL KEY by_place (place)
) ENGINE=InnoDB;
INSERT INTO shop.stores
SELECT n, CONCAT('Store ', n), ST_SRID(POINT(n % 90 + 0.5, n % 80 + 0.25), 4326), IF(n % 2, ST_GeomFromText(CONCAT('POLYGON((0 0,0 ', n, ',', n, ' ', n, ',0 0))')), NULL)
FROM loading.n WHERE n <= 400;

CREATE TABLE shop.wishlists (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT,
  customer_id INT UNSIGNED NOT NULL,
  title VARCHAR(60) DEFAULT NULL,
  PRIMARY KEY (id)
) ENGINE=InnoDB AUTO_INCREMENT=5000 COMMENT='empty until the application writes';

CREATE TABLE shop.settings (
  area ENUM('mail', 'site', 'tax', 'search') NOT NULL,
  name VARCHAR(40) COLLATE utf8mb4_bin NOT NULL,
  value VARCHAR(200) DEFAULT NULL,
  PRIMARY KEY (area, name)
) ENGINE=InnoDB ROW_FORMAT=COMPACT;
INSERT INTO shop.settings
SELECT n % 4 + 1, CONCAT('setting.', LPAD(n, 4, '0')), IF(n % 6, CONCAT('value ', n), NULL) FROM loading.n WHERE n <= 480;

ANALYZE TABLE shop.customers UPDATE HISTOGRAM ON country, born_on WITH 16 BUCKETS;
