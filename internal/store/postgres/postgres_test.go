package postgres_test

import (
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/store/pgtest"
	"github.com/knowngood/knowngood/internal/store/postgres"
	"github.com/knowngood/knowngood/internal/store/storetest"
)

var server func(testing.TB) *pgtest.Server

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m, &server)) }

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) func() storetest.Store {
		url := server(t).Database(t)
		return func() storetest.Store {
			s, err := postgres.Open(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			return s
		}
	})
}

func TestWork(t *testing.T) {
	storetest.Work(t, func(t *testing.T) func() storetest.WorkStore {
		url := server(t).Database(t)
		return func() storetest.WorkStore {
			s, err := postgres.Open(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			return s
		}
	})
}

func TestItemsConformance(t *testing.T) {
	storetest.RunItems(t, func(t *testing.T) func() storetest.Items {
		url := server(t).Database(t)
		return func() storetest.Items {
			s, err := postgres.Open(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			return s
		}
	})
}

func TestManyMayOpenANewStoreAtOnce(t *testing.T) {
	url := server(t).Database(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s, err := postgres.Open(t.Context(), url)
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestANewerDatabaseIsRefused(t *testing.T) {
	url := server(t).Database(t)
	s, err := postgres.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), "INSERT INTO knowngood.migrations VALUES (999)"); err != nil {
		t.Fatal(err)
	}
	_, err = postgres.Open(t.Context(), url)
	if knowngood.KindOf(err) != knowngood.Invalid || !strings.Contains(err.Error(), "version 999") {
		t.Errorf("%v", err)
	}
}

func TestAServerThatIsNotThereIsAnError(t *testing.T) {
	_, err := postgres.Open(t.Context(), "host="+t.TempDir()+" user=knowngood dbname=none")
	if knowngood.KindOf(err) != knowngood.Invalid {
		t.Errorf("%v", err)
	}
}
