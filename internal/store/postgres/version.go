package postgres

// Version is that of the tables, to which Open has brought the database.
func (*Store) Version() int { return len(migrations) }
