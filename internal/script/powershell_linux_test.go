package script

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// standIn is a program that is started as PowerShell is and behaves as main.ps1 has
// it do: it shows what we hand to PowerShell, and what we make of what that says. Its
// "scripts" are in the shell's language.
const standIn = `#!/bin/sh
case "$*" in
*-Command*)
	echo '{"Version": "7.4", "Home": "HOME", "AWS": "", "Runtime": "HOME/shared/Microsoft.NETCore.App/8.0.1/", "Modules": ["HOME/Modules"]}'
	exit 0;;
esac
arguments="$*"
read -r line && held=yes
for main; do :; done
. "${main%/*}/script.ps1"
`

// withStandIn is a bench whose PowerShell is the stand-in.
func withStandIn(t *testing.T, l Limits) *bench {
	t.Helper()
	b := contained(t)
	home := t.TempDir()
	if err := os.MkdirAll(filepath.Join(home, "Modules", "AWS.Tools.EC2"), 0o755); err != nil {
		t.Fatal(err)
	}
	pwsh := filepath.Join(home, "pwsh")
	if err := os.WriteFile(pwsh, []byte(strings.ReplaceAll(standIn, "HOME", home)), 0o755); err != nil {
		t.Fatal(err)
	}
	b.runner = New(Options{Catalog: b.runner.o.Catalog, PowerShell: pwsh, Limits: l})
	b.request.Runtime, b.request.Handler = "PowerShell 7.4", ""
	return b
}

func TestPowerShellIsHandedWhatItNeeds(t *testing.T) {
	b := withStandIn(t, Limits{})
	got := b.run(`
echo "$arguments|$held"
echo "$InputPayload"
env | grep -E '^(AWS_|HTTPS?_PROXY|SSL_CERT_FILE|DOTNET_|POWERSHELL_|PSModulePath|HOME)' | sort
echo "limits $(ulimit -n) $(ulimit -c)"
ls -d ${PSModulePath}/* ${DOTNET_ROOT}/pwsh
cat ${main%/*}/job.json
echo '{"Payload": {"Key": "Env"}, "Exited": false}' >&3
`, func(r *Request) {
		r.Payload, r.Time, r.Seed, r.Dry = map[string]any{"name": "a $value", "n": 1}, time.Unix(1_700_000_000, 0), 7, true
	})
	if got.Failure != nil || jsonText(t, got.Payload) != `{"Key":"Env"}` {
		t.Fatalf("%+v\n%s", got, got.Log)
	}
	home := filepath.Dir(b.runner.o.PowerShell)
	for _, want := range []string{
		"-NoLogo -NoProfile -NonInteractive -File /run/script/main.ps1|yes\n", `{"n":1,"name":"a $value"}` + "\n",
		"AWS_ACCESS_KEY_ID=ASIA", "AWS_SESSION_TOKEN=knowngood", "AWS_REGION=eu-west-1\n", "HTTPS_PROXY=http://127.0.0.1:3128\n", "SSL_CERT_FILE=/run/script/ca.pem\n",
		"DOTNET_GCHeapHardLimit=30000000\n", "DOTNET_ROOT=" + home + "\n", "PSModulePath=" + home + "/Modules\n", "HOME=/tmp\n", "limits 512 0\n",
		home + "/Modules/AWS.Tools.EC2\n", home + "/pwsh\n", `"Time":1700000000,"Seed":7,"Dry":true`, `"Script":"/run/script/script.ps1"`,
	} {
		if !strings.Contains(got.Log, want) {
			t.Errorf("%q is not in\n%s", want, got.Log)
		}
	}
	if got := b.run("echo '{\"Payload\": null}' >&3", func(r *Request) { r.Runtime = "PowerShell Core 6.0" }); !strings.Contains(got.Log, "the runbook wants PowerShell Core 6.0, this is PowerShell 7.4") {
		t.Error(got.Log)
	}
}

func TestWhatPowerShellSaysIsTaken(t *testing.T) {
	b := withStandIn(t, Limits{})
	for said, want := range map[string]string{
		`{"Payload": "text"}`:                                 `"text"`,
		`{"Payload": "{\"a\": [1, 9007199254740993]}"}`:       `{"a":[1,9007199254740993]}`,
		`{"Payload": "[not a list"}`:                          `"[not a list"`,
		`{"Payload": null, "Exited": true}`:                   `null`,
		`{"Payload": {"PSObject": {"Nested": [true, 1.5]}}} `: `{"PSObject":{"Nested":[true,1.5]}}`,
	} {
		// In a here-document, a backslash stays one.
		if got := b.succeeds("cat >&3 <<'X'\n" + said + "\nX\n"); jsonText(t, got) != want {
			t.Errorf("%s: %s, wanted %s", said, jsonText(t, got), want)
		}
	}
	if got := b.fails("AmazonEC2Exception", `echo '{"Error": {"Class": "AmazonEC2Exception", "Message": "no such volume"}}' >&3`); got.Failure.Message != "no such volume" {
		t.Error(got.Failure)
	}
	if got := b.fails(FailedEnd, `echo '{"Payload": null, "Exited": true}' >&3; exit 3`); got.Failure.Message != "the script ended with exit status 3" {
		t.Error(got.Failure)
	}
	b.fails(FailedEnd, "exit 4")
	b.fails(FailedMemory, `echo '{"Error": {"Class": "OutOfMemoryException", "Message": "Array dimensions"}}' >&3`)
	_, err := b.try("exit 0", func(r *Request) { r.Payload = strings.Repeat("x", maxVariable) })
	if u := (*Unavailable)(nil); !errors.As(err, &u) || !strings.Contains(err.Error(), "InputPayload has 130974 bytes") {
		t.Error(err)
	}
}

func TestPowerShellIsKilledWithAllThatItStarted(t *testing.T) {
	b := withStandIn(t, Limits{Processes: 20})
	m := marker(t)
	orphans := "setsid sh -c 'sleep 600; : " + m + "' &\nsleep 600\n"
	b.fails(FailedTime, orphans, func(r *Request) { r.TimeLimit = time.Second })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for !alive(t, m) && ctx.Err() == nil {
			time.Sleep(10 * time.Millisecond)
		}
		cancel()
	}()
	r := b.request
	r.Script = orphans
	if _, err := b.runner.Run(ctx, r); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if alive(t, m) {
		t.Error("a process lives on")
	}
	if got := b.run("i=0; while [ $i -lt 100 ]; do sleep 600 & i=$((i+1)); done; echo '{\"Payload\": 1}' >&3"); got.Failure == nil {
		t.Error("100 processes were started, 20 were allowed")
	}
}

// The real one, with the document model that AWS describes.
func TestPowerShell(t *testing.T) {
	if _, err := exec.LookPath("pwsh"); err != nil {
		t.Skip("pwsh is not installed: ", err)
	}
	b := contained(t)
	b.request.Runtime, b.request.Handler = "PowerShell 7.4", ""
	got := b.run(`
$in = $env:InputPayload | ConvertFrom-Json
Write-Host "hello $($in.who)"
Write-Information "some information"
"an object before the last"
return @{ Message = "to $($in.who)"; Inner = @{ List = @(1, 2, @{ Deep = $true }) } }
`, func(r *Request) { r.Payload = map[string]any{"who": "you"} })
	if got.Failure != nil || jsonText(t, got.Payload) != `{"Inner":{"List":[1,2,{"Deep":true}]},"Message":"to you"}` || !strings.Contains(got.Log, "hello you\n") || !strings.Contains(got.Log, "some information") {
		t.Fatalf("%+v\n%s", got, got.Log)
	}
	for script, class := range map[string]string{"throw 'no'": "RuntimeException", "Write-Error 'no'; 1": "WriteErrorException", "exit 3": FailedEnd, "Get-Item /no/such": "ItemNotFoundException"} {
		b.fails(class, script)
	}
	if got := b.succeeds("@{ a = 1 } | ConvertTo-Json"); jsonText(t, got) != `{"a":1}` {
		t.Error(got)
	}
	fixed := func(r *Request) { r.Time, r.Seed, r.Dry = time.Unix(1_700_000_000, 0), 7, true }
	random := "Start-Sleep 90; @((Get-Date -Format u), (Get-Date -Date 2020-01-01 -Format yyyy), (Get-Random), \"$(New-Guid)\") -join ' '"
	first, again := b.succeeds(random, fixed).(string), b.succeeds(random, fixed)
	if !strings.HasPrefix(first, "2023-11-14 22:14:50Z 2020 ") || first != again {
		t.Errorf("%s, then %s", first, again)
	}
	if got := b.run("Install-Module No.Such.Module -Force"); got.Failure == nil || !strings.Contains(got.Failure.Message, "No.Such.Module is not installed") {
		t.Errorf("%+v", got)
	}
}
