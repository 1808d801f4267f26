package awsapi_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/knowngood/knowngood/awsapi"
)

// Offline, what is in files is found, and what would have to be asked for is not.
func TestOfflineNothingIsFetched(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte(`[profile keys]
region = eu-west-1
aws_access_key_id = AKIDEXAMPLE
aws_secret_access_key = secret
[profile role]
region = eu-west-1
role_arn = arn:aws:iam::111122223333:role/fix
source_profile = keys
`), 0o600); err != nil {
		t.Fatal(err)
	}
	for k, v := range map[string]string{"AWS_CONFIG_FILE": file, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_PROFILE": "", "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "true"} {
		t.Setenv(k, v)
	}
	for profile, want := range map[string]error{"keys": nil, "role": awsapi.ErrOffline} {
		cfg, err := awsapi.LoadConfig(t.Context(), awsapi.LoadOptions{Profile: profile, Offline: true})
		if err != nil {
			t.Fatal(err)
		}
		c, err := cfg.Credentials.Retrieve(t.Context())
		if !errors.Is(err, want) || want == nil && c.AccessKeyID != "AKIDEXAMPLE" {
			t.Errorf("%s: %s, %v, wanted %v", profile, c.AccessKeyID, err, want)
		}
	}
}
