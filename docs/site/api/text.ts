import ts from 'typescript-5.6';

/** An interface or a class without its members. */
export function headText(node: ts.InterfaceDeclaration | ts.ClassDeclaration): string {
  const kind = ts.isClassDeclaration(node) ? 'class' : 'interface';
  const clauses = (node.heritageClauses ?? []).map((clause) => oneLine(clause.getText()));
  const head = oneLine(`${kind} ${node.name?.text ?? ''}${parametersOf(node)}`);
  const whole = [head, ...clauses].join(' ');
  return whole.length <= width ? whole : [head, ...clauses].join('\n  ');
}

const width = 100;

/** A function without its body. @param returns false for a constructor */
export function functionText(
  name: string,
  node: ts.SignatureDeclaration,
  checker: ts.TypeChecker,
  returns = true,
): string {
  const signature = checker.getSignatureFromDeclaration(node);
  const inferred = signature && checker.typeToString(signature.getReturnType(), node);
  const result = returns ? `: ${oneLine(node.type?.getText() ?? inferred ?? 'void')}` : '';
  const parameters = node.parameters.map((parameter) => parameterText(parameter, checker));
  const head = `${name}${parametersOf(node)}`;
  const whole = `${head}(${parameters.join(', ')})${result}`;
  if (whole.length <= width && !whole.includes('\n')) return whole;
  return `${head}(${parameters.map((parameter) => `\n  ${parameter},`).join('')}\n)${result}`;
}

interface Generic {
  readonly typeParameters?: ts.NodeArray<ts.TypeParameterDeclaration> | undefined;
}

function parametersOf({ typeParameters }: Generic): string {
  return typeParameters ? `<${typeParameters.map((parameter) => parameter.getText()).join(', ')}>` : '';
}

/** A parameter that is taken apart, or is empty by default, is one that may be left out. */
function parameterText(node: ts.ParameterDeclaration, checker: ts.TypeChecker): string {
  const isTakenApart = ts.isObjectBindingPattern(node.name);
  const name = isTakenApart ? 'options' : node.name.getText();
  const rest = node.dotDotDotToken ? '...' : '';
  const type = oneLine(node.type?.getText() ?? checker.typeToString(checker.getTypeAtLocation(node)));
  const initial = node.initializer?.getText();
  if (initial !== undefined && !/^[{[]/.test(initial)) return `${name}: ${type} = ${initial}`;
  return `${rest}${name}${node.questionToken || initial !== undefined ? '?' : ''}: ${type}`;
}

/** The type that a declaration is given. */
export function typeText(node: ts.Node): string | undefined {
  return 'type' in node && node.type ? oneLine((node.type as ts.Node).getText()) : undefined;
}

/** Without line breaks, as a table holds it, and without comments. */
export function oneLine(text: string): string {
  return text
    .replace(/\/\*[^]*?\*\/|\/\/.*$/gm, '')
    .replace(/\s+/g, ' ')
    .replace(/([(<[]) | (?=[)>\]])/g, '$1')
    .replace(/,(?=[)>\]])/g, '')
    .replace(/^\| |(?<=[(:] )\| /g, '')
    .trim();
}
