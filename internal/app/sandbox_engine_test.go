package app_test

import (
	"strings"
	"testing"
)

// A sandbox's automations are run by knowngood's own interpreter.
func TestASandboxesAutomationsRun(t *testing.T) {
	dir := writeTests(t, `tests:
  - name: one of AWS's own
    given: {scenario: demo}
    when:
      - call: ssm:StartAutomationExecution
        as: run
        input:
          DocumentName: AWSConfigRemediation-ConfigureS3BucketPublicAccessBlock
          Parameters: {BucketName: [acme-invoices], AutomationAssumeRole: ['arn:aws:iam::111122223333:role/remediation']}
    then:
      made: [s3:PutPublicAccessBlock]
      state:
        - {call: 's3:GetPublicAccessBlock', input: {Bucket: acme-invoices}, find: PublicAccessBlockConfiguration.BlockPublicPolicy, is: true}
        - {call: 'ssm:GetAutomationExecution', input: {AutomationExecutionId: '{{run.AutomationExecutionId}}'}, find: 'AutomationExecution.[AutomationExecutionStatus, StepExecutions[-1].StepStatus]', is: [Success, Success]}
  - name: one that waits for a person
    given: &approval
      calls:
        - call: ssm:CreateDocument
          input:
            Name: Ask
            DocumentType: Automation
            DocumentFormat: YAML
            Content: |
              schemaVersion: '0.3'
              mainSteps:
                - {name: ask, action: 'aws:approve', inputs: {Approvers: [operator], Message: May it?}}
                - {name: make, action: 'aws:executeAwsApi', inputs: {Service: sns, Api: CreateTopic, Name: done}, outputs: [{Name: Arn, Selector: $.TopicArn, Type: String}]}
              outputs: [make.Arn]
        - {call: 'ssm:StartAutomationExecution', as: run, input: {DocumentName: Ask}}
    when:
      - {call: 'ssm:SendAutomationSignal', input: {AutomationExecutionId: '{{run.AutomationExecutionId}}', SignalType: Approve}}
    then:
      made: [sns:CreateTopic]
      state:
        - {call: 'ssm:GetAutomationExecution', input: {AutomationExecutionId: '{{run.AutomationExecutionId}}'}, find: AutomationExecution.AutomationExecutionStatus, is: Success}
        - {call: 'ssm:GetAutomationExecution', input: {AutomationExecutionId: '{{run.AutomationExecutionId}}'}, find: 'AutomationExecution.Outputs."make.Arn"[0]', is: 'arn:aws:sns:eu-west-1:111122223333:done'}
  - name: nobody has decided yet
    given: *approval
    when: [{wait: 1h}]
    then:
      never: [sns:CreateTopic]
      state: [{call: 'ssm:GetAutomationExecution', input: {AutomationExecutionId: '{{run.AutomationExecutionId}}'}, find: 'AutomationExecution.[AutomationExecutionStatus, StepExecutions[0].StepStatus]', is: [Waiting, Waiting]}]
  - name: one that is rejected
    given: *approval
    when: [{call: 'ssm:SendAutomationSignal', input: {AutomationExecutionId: '{{run.AutomationExecutionId}}', SignalType: Reject}}]
    then:
      never: [sns:CreateTopic]
      state: [{call: 'ssm:GetAutomationExecution', input: {AutomationExecutionId: '{{run.AutomationExecutionId}}'}, find: AutomationExecution.AutomationExecutionStatus, is: Failed}]
  - name: one that is stopped
    given: *approval
    when: [{call: 'ssm:StopAutomationExecution', input: {AutomationExecutionId: '{{run.AutomationExecutionId}}'}}]
    then:
      never: [sns:CreateTopic]
      state: [{call: 'ssm:GetAutomationExecution', input: {AutomationExecutionId: '{{run.AutomationExecutionId}}'}, find: AutomationExecution.AutomationExecutionStatus, is: Cancelled}]
  - name: one that somebody else would decide
    given:
      calls:
        - call: ssm:CreateDocument
          input:
            Name: Ask
            DocumentType: Automation
            DocumentFormat: YAML
            Content: |
              schemaVersion: '0.3'
              mainSteps:
                - {name: ask, action: 'aws:approve', inputs: {Approvers: [ada, 'arn:aws:iam::111122223333:role/Chief']}}
        - {call: 'ssm:StartAutomationExecution', as: run, input: {DocumentName: Ask}}
    when: [{call: 'ssm:SendAutomationSignal', input: {AutomationExecutionId: '{{run.AutomationExecutionId}}', SignalType: Approve}}]
    then:
      error: InvalidAutomationSignalException
      state: [{call: 'ssm:GetAutomationExecution', input: {AutomationExecutionId: '{{run.AutomationExecutionId}}'}, find: AutomationExecution.AutomationExecutionStatus, is: Waiting}]
  - name: the same person counts once
    given:
      calls:
        - call: ssm:CreateDocument
          input:
            Name: Ask
            DocumentType: Automation
            DocumentFormat: YAML
            Content: |
              schemaVersion: '0.3'
              mainSteps:
                - {name: ask, action: 'aws:approve', inputs: {Approvers: [operator, ada], MinRequiredApprovals: 2}}
        - {call: 'ssm:StartAutomationExecution', as: run, input: {DocumentName: Ask}}
    when:
      - {call: 'ssm:SendAutomationSignal', input: {AutomationExecutionId: '{{run.AutomationExecutionId}}', SignalType: Approve}}
      - {call: 'ssm:SendAutomationSignal', input: {AutomationExecutionId: '{{run.AutomationExecutionId}}', SignalType: Approve}}
    then:
      state: [{call: 'ssm:GetAutomationExecution', input: {AutomationExecutionId: '{{run.AutomationExecutionId}}'}, find: AutomationExecution.AutomationExecutionStatus, is: Waiting}]
  - name: one that executes another, whose outputs it takes
    given: &family
      calls:
        - call: ssm:CreateDocument
          input:
            Name: Child
            DocumentType: Automation
            DocumentFormat: YAML
            Content: |
              schemaVersion: '0.3'
              parameters: {Name: {type: String}}
              mainSteps:
                - {name: rest, action: 'aws:sleep', inputs: {Duration: PT1H}}
                - {name: make, action: 'aws:executeAwsApi', inputs: {Service: sns, Api: CreateTopic, Name: '{{ Name }}'}, outputs: [{Name: Arn, Selector: $.TopicArn, Type: String}]}
              outputs: [make.Arn]
        - call: ssm:CreateDocument
          input:
            Name: Parent
            DocumentType: Automation
            DocumentFormat: YAML
            Content: |
              schemaVersion: '0.3'
              mainSteps:
                - {name: child, action: 'aws:executeAutomation', inputs: {DocumentName: Child, RuntimeParameters: {Name: [one]}}}
                - {name: many, action: 'aws:executeAutomation', inputs: {DocumentName: Child, TargetParameterName: Name, Targets: [{Key: ParameterValues, Values: [two, three, four]}], MaxConcurrency: '2'}}
              outputs: [child.Output, child.Status]
        - {call: 'ssm:StartAutomationExecution', as: run, input: {DocumentName: Parent}}
    when: [{call: 'ssm:DescribeAutomationExecutions', as: all, input: {}}]
    then:
      state:
        - {call: 'ssm:GetAutomationExecution', input: {AutomationExecutionId: '{{run.AutomationExecutionId}}'}, find: 'AutomationExecution.[AutomationExecutionStatus, Outputs."child.Output"[0]]', is: [Success, 'arn:aws:sns:eu-west-1:111122223333:one']}
        - {call: 'ssm:DescribeAutomationExecutions', input: {Filters: [{Key: ParentExecutionId, Values: ['{{run.AutomationExecutionId}}']}]}, find: 'length(AutomationExecutionMetadataList[?AutomationExecutionStatus == ''Success''])', is: 2}
        - {call: 'ssm:DescribeAutomationExecutions', input: {}, find: 'length(AutomationExecutionMetadataList)', is: 6}
        - {call: 'ssm:DescribeAutomationExecutions', input: {}, find: 'sort(AutomationExecutionMetadataList[?Target].Target)', is: [four, three, two]}
        - {call: 'sns:ListTopics', input: {}, find: 'length(Topics)', is: 4}
  - name: in many Regions, under a role
    given:
      calls:
        - &role
          call: iam:CreateRole
          input: {RoleName: Fixer, AssumeRolePolicyDocument: '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"sts:AssumeRole"}]}'}
        - call: iam:PutRolePolicy
          input: {RoleName: Fixer, PolicyName: p, PolicyDocument: '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sns:*","Resource":"*"}]}'}
        - call: ssm:CreateDocument
          input:
            Name: Make
            DocumentType: Automation
            DocumentFormat: YAML
            Content: |
              schemaVersion: '0.3'
              mainSteps: [{name: make, action: 'aws:executeAwsApi', inputs: {Service: sns, Api: CreateTopic, Name: here}}]
    when:
      - {call: 'ssm:StartAutomationExecution', as: run, input: {DocumentName: Make, TargetLocations: [{Accounts: ['111122223333'], Regions: [eu-west-1, us-east-1], ExecutionRoleName: Fixer}]}}
    then:
      made: [sts:AssumeRole, sns:CreateTopic]
      state:
        - {call: 'ssm:GetAutomationExecution', input: {AutomationExecutionId: '{{run.AutomationExecutionId}}'}, find: 'AutomationExecution.[AutomationExecutionStatus, ProgressCounters.SuccessSteps, FailureMessage]', is: [Success, 2, null]}
        - {call: 'ssm:DescribeAutomationExecutions', input: {Filters: [{Key: AutomationType, Values: [CrossAccount]}]}, find: 'length(AutomationExecutionMetadataList)', is: 1}
  - name: no more is begun once one has failed
    given: {calls: [{call: 'ssm:CreateDocument', input: {Name: Make, DocumentType: Automation, DocumentFormat: YAML, Content: "schemaVersion: '0.3'\nparameters: {Name: {type: String}}\nmainSteps: [{name: make, action: 'aws:executeAwsApi', inputs: {Service: sns, Api: CreateTopic, Name: '{{ Name }}'}}]"}}], faults: [{call: 'sns:CreateTopic', code: AuthorizationError, status: 403}]}
    when:
      - {call: 'ssm:StartAutomationExecution', as: run, input: {DocumentName: Make, TargetParameterName: Name, Targets: [{Key: ParameterValues, Values: [one, two, three]}], MaxConcurrency: '1'}}
    then:
      state:
        - {call: 'ssm:GetAutomationExecution', input: {AutomationExecutionId: '{{run.AutomationExecutionId}}'}, find: 'AutomationExecution.[AutomationExecutionStatus, StepExecutions[].StepStatus]', is: [Failed, [Failed, Pending, Pending]]}
  - name: one whose call fails
    given: {scenario: demo}
    when:
      - call: ssm:StartAutomationExecution
        as: run
        input:
          DocumentName: AWSConfigRemediation-ConfigureS3BucketPublicAccessBlock
          Parameters: {BucketName: [no-such-bucket], AutomationAssumeRole: ['arn:aws:iam::111122223333:role/remediation']}
    then:
      state: [{call: 'ssm:GetAutomationExecution', input: {AutomationExecutionId: '{{run.AutomationExecutionId}}'}, find: 'AutomationExecution.AutomationExecutionStatus', is: Failed}]
`)
	if out, _ := knowngood(t, 0, "test", "-v", dir); strings.Count(out, "--- PASS") != 11 {
		t.Errorf("%s", out)
	}
}
