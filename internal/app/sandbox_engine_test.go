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
                - {name: ask, action: 'aws:approve', inputs: {Approvers: [ada], Message: May it?}}
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
	if out, _ := knowngood(t, 0, "test", "-v", dir); strings.Count(out, "--- PASS") != 6 {
		t.Errorf("%s", out)
	}
}
