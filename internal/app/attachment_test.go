package app

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// What is fetched is what the URL has, and no message shows the URL.
func TestFetch(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/code.py":
			fmt.Fprint(w, "import os")
		case "/moved":
			http.Redirect(w, r, "/code.py", http.StatusFound)
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	body, err := fetch(t.Context(), server.URL+"/code.py?X-Amz-Signature=T0P53CR3T")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(body)
	if err != nil || string(raw) != "import os" || body.Close() != nil {
		t.Errorf("%q, %v", raw, err)
	}
	for _, c := range []struct{ url, want string }{
		{server.URL + "/none?T0P53CR3T", "its URL is answered with the code 404"},
		{server.URL + "/moved?T0P53CR3T", "its URL is answered with the code 302"},
		{"http://files.example.com/T0P53CR3T", "its URL does not begin with https://"},
		{"http://127.0.0.1:1/T0P53CR3T", "connection refused"},
	} {
		if _, err := fetch(t.Context(), c.url); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "T0P53CR3T") {
			t.Errorf("%s: %v", c.url, err)
		}
	}
}
