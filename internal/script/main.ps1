# Runs a runbook's script: what it needs of a clock and of random numbers first, then
# the script itself. The last object that it puts out goes to descriptor 3 as JSON.
$null = [Console]::In.ReadLine() # by then the limits of this process are set
$ErrorActionPreference = 'Continue'
$ProgressPreference = 'SilentlyContinue'
$InformationPreference = 'Continue'

$global:knowngood = @{ Job = Get-Content -Raw -LiteralPath "$PSScriptRoot/job.json" | ConvertFrom-Json -AsHashtable; Slept = 0.0; Last = $null; Failed = $null; Done = $false }
if ($null -ne $knowngood.Job.Time) {
    # The clock shows the job's time, and goes on while the script sleeps.
    $knowngood.Start = [DateTimeOffset]::FromUnixTimeMilliseconds([long](1000 * $knowngood.Job.Time)).UtcDateTime
    $null = Get-Random -SetSeed ([int]($knowngood.Job.Seed % [int]::MaxValue))
    $knowngood.Ids = [Random]::new([int]($knowngood.Job.Seed % [int]::MaxValue))

    function global:Get-Date {
        if ($MyInvocation.ExpectingInput) { return $input | Microsoft.PowerShell.Utility\Get-Date @args }
        $given = @($args | Where-Object { $_ -is [string] -and $_ -like '-*' -or $_ -is [DateTime] })
        $positional = $args.Count -gt 0 -and -not ("$($args[0])" -like '-*')
        if ($positional -or @($given | Where-Object { $_ -is [DateTime] -or $_ -like '-D*' -and $_ -notlike '-Day*' -and $_ -notlike '-Dis*' -or $_ -like '-Unix*' }).Count -gt 0) {
            return Microsoft.PowerShell.Utility\Get-Date @args
        }
        Microsoft.PowerShell.Utility\Get-Date -Date ($knowngood.Start.AddSeconds($knowngood.Slept).ToLocalTime()) @args
    }

    function global:New-Guid {
        $bytes = [byte[]]::new(16)
        $knowngood.Ids.NextBytes($bytes)
        [Guid]::new($bytes)
    }

    function global:Start-Sleep {
        param([Parameter(Position = 0)][Alias('s')][double]$Seconds = 0, [Alias('ms')][int]$Milliseconds = 0, [TimeSpan]$Duration = [TimeSpan]::Zero)
        $for = [TimeSpan]::FromSeconds($Seconds) + [TimeSpan]::FromMilliseconds($Milliseconds) + $Duration
        if (-not $knowngood.Job.Dry) { Microsoft.PowerShell.Utility\Start-Sleep -Milliseconds ([int]$for.TotalMilliseconds) }
        $knowngood.Slept += $for.TotalSeconds
    }
}

# There is no way to a gallery from here: a module is installed already, or not at all.
function global:Install-Module($Name) {
    foreach ($n in $Name) {
        if (-not (Get-Module -ListAvailable -Name $n)) {
            throw "the module $n is not installed on this machine, and a script can't fetch it: install it once with Install-Module $n"
        }
    }
}

function Write-Knowngood($answer) {
    $text = ConvertTo-Json -InputObject $answer -Depth 10 -Compress -WarningAction SilentlyContinue
    $bytes = [Text.UTF8Encoding]::new($false).GetBytes($text)
    $out = [IO.FileStream]::new([Microsoft.Win32.SafeHandles.SafeFileHandle]::new([IntPtr]3, $false), [IO.FileAccess]::Write, 1)
    $out.Write($bytes, 0, $bytes.Length)
    $out.Flush()
}

$knowngood.Folder = if (Test-Path -LiteralPath "$PSScriptRoot/files") { "$PSScriptRoot/files" } else { $knowngood.Job.Folder }
Set-Location -LiteralPath $knowngood.Folder
try {
    $knowngood.File = $knowngood.Job.Script
    if (-not $knowngood.File) {
        # Without a Script it is Main.ps1 of the attachment, or the only one that it has.
        $knowngood.Found = @(Get-ChildItem -Filter *.ps1 -File)
        if ($knowngood.Found.Count -gt 1) { $knowngood.Found = @($knowngood.Found | Where-Object { $_.Name -eq 'Main.ps1' }) }
        if ($knowngood.Found.Count -ne 1) { throw 'the step has no Script, and its attachment no Main.ps1' }
        $knowngood.File = $knowngood.Found[0].FullName
    }
    # As a block, not as a file: where it says exit, this process ends.
    & ([ScriptBlock]::Create((Get-Content -Raw -LiteralPath $knowngood.File))) 2>&1 | ForEach-Object {
        if ($_ -isnot [Management.Automation.ErrorRecord]) {
            $knowngood.Last = $_
        } else {
            [Console]::Error.WriteLine(($_ | Out-String).TrimEnd())
            # What a program says on its error stream is no error of the script's.
            if ($_.FullyQualifiedErrorId -notlike 'NativeCommandError*') { $knowngood.Failed = $_ }
        }
    }
    $knowngood.Done = $true
} catch {
    [Console]::Error.WriteLine(($_ | Out-String).TrimEnd())
    $knowngood.Failed = $_
} finally {
    if ($knowngood.Failed) {
        Write-Knowngood @{ Error = @{ Class = $knowngood.Failed.Exception.GetType().Name; Message = $knowngood.Failed.Exception.Message } }
    } else {
        if ($knowngood.Last -is [string]) { $knowngood.Last = [string]$knowngood.Last } # without what Get-Content adds
        Write-Knowngood @{ Payload = $knowngood.Last; Exited = -not $knowngood.Done }
    }
}
