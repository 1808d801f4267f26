package script

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// powershell is an installed PowerShell, and where its modules are.
type powershell struct {
	executable string
	Version    string   // "7.4"
	Home       string   // $PSHOME
	Runtime    string   // folder of .NET's own libraries
	Modules    []string // folders of modules, the user's and the system's
	AWS        string   // version of AWS.Tools.Common; "": it is not installed
}

//go:embed main.ps1
var mainPowerShell []byte

// probePowerShell says where PowerShell and its modules are, as JSON.
const probePowerShell = `$m = Get-Module -ListAvailable -Name AWS.Tools.Common | Sort-Object Version | Select-Object -Last 1
@{ Version = "$($PSVersionTable.PSVersion.Major).$($PSVersionTable.PSVersion.Minor)"; Home = $PSHOME; AWS = "$($m.Version)";
Runtime = [System.Runtime.InteropServices.RuntimeEnvironment]::GetRuntimeDirectory(); Modules = @($env:PSModulePath -split [System.IO.Path]::PathSeparator) } | ConvertTo-Json -Compress`

// quiet are the arguments with which PowerShell reads nothing of the user's.
var quiet = []string{"-NoLogo", "-NoProfile", "-NonInteractive"}

// findPowerShell finds PowerShell, once.
func (r *Runner) findPowerShell(ctx context.Context) (*powershell, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.powershell != nil {
		return r.powershell, nil
	}
	name := r.o.PowerShell
	if name == "" {
		name = "pwsh"
	}
	file, err := exec.LookPath(name)
	if err != nil {
		return nil, unavailable("scripts in PowerShell need pwsh: %w", err)
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, file, append(slices.Clone(quiet), "-Command", probePowerShell)...)
	cmd.Stderr = &stderr
	raw, err := cmd.Output()
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, unavailable("%s does not run: %w: %s", file, err, strings.TrimSpace(stderr.String()))
	}
	var p powershell
	if err := json.Unmarshal(raw, &p); err != nil || p.Home == "" {
		return nil, unavailable("%s is no PowerShell: it says %.200q", file, raw)
	}
	if p.executable, err = filepath.EvalSymlinks(file); err == nil {
		p.executable, err = filepath.Abs(p.executable)
	}
	if err != nil {
		return nil, unavailable("%s: %w", file, err)
	}
	r.powershell = &p
	return r.powershell, nil
}

// program runs scripts. PowerShell's .NET reserves far more address space than it
// uses, so that there is no limit on that; its heap has one.
func (p *powershell) program(l Limits, payload []byte) *program {
	roots := []string{p.Home}
	if dir := filepath.Dir(p.executable); dir != "/" {
		roots = append(roots, dir)
	}
	env := []string{
		"InputPayload=" + string(payload),
		"PSModulePath=" + strings.Join(p.Modules, string(filepath.ListSeparator)),
		"POWERSHELL_TELEMETRY_OPTOUT=1", "POWERSHELL_UPDATECHECK=Off", "NO_COLOR=1",
		"DOTNET_EnableDiagnostics=0", "DOTNET_gcServer=0",
		// Threads are made by the number of processors.
		"DOTNET_PROCESSOR_COUNT=2",
		"DOTNET_GCHeapHardLimit=" + strconv.FormatInt(l.Memory/4*3, 16),
	}
	// Of a .NET that is not PowerShell's own, all versions are in one folder:
	// DOTNET_ROOT/shared/Microsoft.NETCore.App/8.0.1.
	if root, _, ok := strings.Cut(filepath.ToSlash(p.Runtime), "/shared/Microsoft.NETCore.App/"); ok {
		roots = append(roots, root)
		env = append(env, "DOTNET_ROOT="+root)
	}
	return &program{
		Executable: p.executable, Roots: append(roots, p.Modules...), arguments: append(slices.Clone(quiet), "-File"),
		main: "main.ps1", text: mainPowerShell, script: "script.ps1", env: env, held: true,
	}
}

// note says that a runtime is another version than what there is, or what may be
// missing for it.
func (p *powershell) note(runtime string) string {
	if want := strings.TrimPrefix(strings.TrimPrefix(runtime, "PowerShell "), "Core "); want != p.Version {
		return fmt.Sprintf("the runbook wants %s, this is PowerShell %s", runtime, p.Version)
	}
	return ""
}
