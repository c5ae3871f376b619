// Sticky Connect in a stack of yours, from the unpacked files of a release.
import { App, CfnOutput, Stack } from "aws-cdk-lib";
import { Asset } from "aws-cdk-lib/aws-s3-assets";
import { CfnFunction } from "aws-cdk-lib/aws-sam";
import { CfnInclude } from "aws-cdk-lib/cloudformation-include";

const release = process.env.RELEASE ?? "sticky-connect-0.1.0";

const stack = new Stack(new App(), "CallerMemory");

// The CDK puts the code into its own bucket. For x86_64 take the other file, and the parameter Architecture: "x86_64".
const code = new Asset(stack, "Code", { path: `${release}/${release.split("/").pop()}-arm64.zip` });

const memory = new CfnInclude(stack, "StickyConnect", {
  templateFile: `${release}/template-s3.yaml`,
  parameters: {
    CodeBucket: code.s3BucketName,
    // Your own:
    ApiKeySecretArn: "arn:aws:secretsmanager:eu-central-1:123456789012:secret:sticky-calls-key-AbCdEf",
    ConnectInstanceArn: "arn:aws:connect:eu-central-1:123456789012:instance/11111111-2222-3333-4444-555555555555",
  },
});
for (const name of ["IdentifyFunction", "SaveFunction"]) {
  const func = memory.getResource(name) as CfnFunction;
  func.codeUri = { bucket: code.s3BucketName, key: code.s3ObjectKey };
}

// For the rest of your app: here as outputs of the stack, just as well as properties of your own constructs.
new CfnOutput(stack, "ForTheStartOfACall", { value: memory.getOutput("IdentifyFunctionArn").value });
new CfnOutput(stack, "ForTheEndOfACall", { value: memory.getOutput("SaveFunctionArn").value });
