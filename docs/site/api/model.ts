import { resolve } from 'node:path';
import ts from 'typescript-5.6';
import manifest from '../../../package.json' with { type: 'json' };
import { type Doc, docOf } from './doc.ts';
import { functionText, headText, oneLine, typeText } from './text.ts';

/** What a user may import, by the path it is imported from. */
export interface Entry {
  /** 'tidemark', 'tidemark/react' */
  readonly path: string;
  readonly exports: readonly Export[];
}

export type Kind = 'value' | 'options' | 'type' | 'error';

/** An exported name: a function, a class, an interface, a type; or a type and a value of one name. */
export interface Export {
  readonly name: string;
  readonly path: string;
  readonly kind: Kind;
  /** TypeScript, without bodies. */
  readonly signature: string;
  readonly doc: Doc;
  readonly constructor: Callable | undefined;
  readonly members: readonly Member[];
  /** Exported names that it has the members of, with those members' names. */
  readonly bases: readonly Base[];
  /** Members are told by the signature alone. */
  readonly isPlain: boolean;
}

export interface Callable {
  readonly signature: string;
  readonly doc: Doc;
}

export interface Member extends Callable {
  readonly name: string;
  readonly isMethod: boolean;
  readonly isOptional: boolean;
  readonly type: string;
}

export interface Base {
  readonly name: string;
  readonly members: readonly string[];
}

const root = resolve(import.meta.dirname, '../../..');

/** Reads the entry points of package.json, from their sources. */
export function readEntries(): Entry[] {
  const files = Object.entries(manifest.exports).flatMap(([subpath, target]) => {
    if (typeof target === 'string') return [];
    const file = target.default.replace('./dist/', 'src/').replace(/\.js$/, '.ts');
    return [{ path: `tidemark${subpath.slice(1)}`, file: resolve(root, file) }];
  });
  const config = ts.readConfigFile(resolve(root, 'tsconfig.json'), (file) => ts.sys.readFile(file));
  const { options } = ts.parseJsonConfigFileContent({ ...config.config, include: [] }, ts.sys, root);
  const program = ts.createProgram(
    files.map(({ file }) => file),
    { ...options, types: ['node'] },
  );
  const reader = new Reader(program.getTypeChecker());
  const found = files.map(({ path, file }) => ({ path, symbols: reader.exportsOf(program.getSourceFile(file)) }));
  return found.map(({ path, symbols }) => ({ path, exports: symbols.map((symbol) => reader.read(symbol, path)) }));
}

class Reader {
  readonly #checker: ts.TypeChecker;
  /** The exported names, by what they stand for. */
  readonly #names = new Map<ts.Symbol, string>();

  constructor(checker: ts.TypeChecker) {
    this.#checker = checker;
  }

  exportsOf(file: ts.SourceFile | undefined): ts.Symbol[] {
    const module = file && this.#checker.getSymbolAtLocation(file);
    if (!module) throw new Error(`${file?.fileName ?? 'An entry point'} exports nothing.`);
    const symbols = this.#checker.getExportsOfModule(module);
    for (const symbol of symbols) this.#names.set(this.#resolve(symbol), symbol.name);
    return symbols;
  }

  read(symbol: ts.Symbol, path: string): Export {
    const declarations = this.#resolve(symbol).declarations ?? [];
    const { name } = symbol;
    const typed = declarations.find((node) => ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node));
    const value = declarations.find((node) => ts.isVariableDeclaration(node));
    const made = declarations.find(ts.isClassDeclaration);
    const functions = declarations.filter(ts.isFunctionDeclaration);
    const open = functions.some(({ body }) => !body) ? functions.filter(({ body }) => !body) : functions;
    const members = this.#membersOf(made ?? value ?? typed);
    const isInterface = typed !== undefined && ts.isInterfaceDeclaration(typed);
    const isPlain = isInterface && members.length > 0 && members.every(({ doc }) => doc.text === '');
    const signatures = [
      ...(typed ? [isInterface && !isPlain ? headText(typed) : declared(typed)] : []),
      ...(made ? [headText(made)] : []),
      ...open.map((node) => `function ${functionText(name, node, this.#checker)}`),
      ...(value && members.length === 0 ? [`const ${name}: ${this.#typeOf(value)}`] : []),
    ];
    return {
      name,
      path,
      kind: kindOf(name, typed === undefined || value !== undefined),
      signature: signatures.join('\n'),
      doc: docOf([
        ...functions,
        ...(made ? [made] : []),
        ...(typed ? [typed] : []),
        ...(value ? [value.parent.parent] : []),
      ]),
      constructor: made && this.#constructorOf(name, made),
      members,
      bases: made ? [] : this.#basesOf(typed),
      isPlain,
    };
  }

  #resolve(symbol: ts.Symbol): ts.Symbol {
    return symbol.flags & ts.SymbolFlags.Alias ? this.#checker.getAliasedSymbol(symbol) : symbol;
  }

  #constructorOf(name: string, made: ts.ClassDeclaration): Callable | undefined {
    const node = made.members.find(ts.isConstructorDeclaration);
    return node && { signature: `new ${functionText(name, node, this.#checker, false)}`, doc: docOf([node]) };
  }

  /** The members of its own and those of bases that are not exported, each once, overloads together. */
  #membersOf(node: ts.Node | undefined): Member[] {
    const nodes = new Map<string, ts.Node[]>();
    for (const member of this.#memberNodes(node)) {
      const name = nameOf(member);
      nodes.set(name, [...(nodes.get(name) ?? []), member]);
    }
    const members = [...nodes].map(([name, found]) => this.#member(name, found));
    const known = node && ts.isClassDeclaration(node) ? this.#inheritedBy(node) : new Set<string>();
    return members.filter(
      // What an interface says already of a class is said there.
      ({ name, doc, type }) =>
        !doc.isInternal && type !== 'undefined' && !name.startsWith('[') && (doc.text !== '' || !known.has(name)),
    );
  }

  #memberNodes(node: ts.Node | undefined): ts.Node[] {
    if (!node) return [];
    if (ts.isClassDeclaration(node)) return node.members.filter(isPublic);
    if (ts.isInterfaceDeclaration(node)) {
      const hidden = this.#extended(node).filter(({ name }) => name === undefined);
      const bases = hidden.flatMap(({ declarations }) => declarations.filter(isOurs));
      return [...node.members, ...bases.flatMap((base) => this.#memberNodes(base))];
    }
    const object = ts.isVariableDeclaration(node) && node.initializer;
    const literal = object && ts.isAsExpression(object) ? object.expression : object;
    return literal && ts.isObjectLiteralExpression(literal) ? [...literal.properties] : [];
  }

  #member(name: string, nodes: readonly ts.Node[]): Member {
    const callables = nodes.flatMap((node) => this.#callable(node));
    const open = callables.some((node) => !('body' in node && node.body))
      ? callables.filter((node) => !('body' in node && node.body))
      : callables;
    const [first] = nodes;
    const isOptional = first !== undefined && 'questionToken' in first && first.questionToken !== undefined;
    const type =
      open.length > 0
        ? open.map((node) => functionText('', node, this.#checker).replace(/\): (?=[^)]*$)/, ') => ')).join(' & ')
        : first
          ? this.#typeOf(first)
          : '';
    return {
      name,
      isMethod: open.length > 0,
      isOptional,
      type: oneLine(isOptional && !type.includes('=>') ? type.replace(/ \| undefined$/, '') : type),
      signature:
        open.map((node) => functionText(`${name}${isOptional ? '?' : ''}`, node, this.#checker)).join('\n') ||
        `${name}${isOptional ? '?' : ''}: ${type}`,
      doc: docOf(nodes),
    };
  }

  /** The functions that a member is. */
  #callable(node: ts.Node): ts.SignatureDeclaration[] {
    if (ts.isMethodSignature(node) || ts.isMethodDeclaration(node)) return [node];
    if (ts.isPropertyAssignment(node) && ts.isArrowFunction(node.initializer)) return [node.initializer];
    if (!ts.isShorthandPropertyAssignment(node)) return [];
    const value = this.#checker.getShorthandAssignmentValueSymbol(node);
    return (value?.declarations ?? []).filter(ts.isFunctionDeclaration);
  }

  #typeOf(node: ts.Node): string {
    const text = typeText(node);
    if (text !== undefined) return text;
    const type = ts.isShorthandPropertyAssignment(node)
      ? this.#shorthandType(node)
      : this.#checker.getTypeAtLocation(node);
    return this.#checker.typeToString(type, node, ts.TypeFormatFlags.NoTruncation);
  }

  #shorthandType(node: ts.ShorthandPropertyAssignment): ts.Type {
    const value = this.#checker.getShorthandAssignmentValueSymbol(node);
    return value ? this.#checker.getTypeOfSymbol(value) : this.#checker.getTypeAtLocation(node);
  }

  #inheritedBy(node: ts.ClassDeclaration): ReadonlySet<string> {
    const names = (node.heritageClauses ?? []).flatMap(({ types }) =>
      types.flatMap((type) => this.#checker.getTypeAtLocation(type).getProperties()),
    );
    return new Set(names.map(({ name }) => name));
  }

  #basesOf(node: ts.Node | undefined): Base[] {
    if (!node) return [];
    if (ts.isTypeAliasDeclaration(node)) {
      const target = this.#base(node.type);
      return target.name === undefined ? [] : [{ name: target.name, members: target.members }];
    }
    if (!ts.isInterfaceDeclaration(node)) return [];
    return this.#extended(node).flatMap(({ name, members, declarations }) =>
      name === undefined ? declarations.flatMap((base) => this.#basesOf(base)) : [{ name, members }],
    );
  }

  /** What may not be given: it tells one type of a union from the others. */
  #isBarred(property: ts.Symbol): boolean {
    return (this.#checker.getTypeOfSymbol(property).flags & ts.TypeFlags.Undefined) !== 0;
  }

  #extended(node: ts.InterfaceDeclaration) {
    return (node.heritageClauses ?? []).flatMap(({ types }) => types.map((type) => this.#base(type)));
  }

  /** What is extended, through `Omit` and `Pick`; without a name where it is not exported. */
  #base(node: ts.TypeNode) {
    const properties = this.#checker.getTypeAtLocation(node).getProperties();
    const members = properties.filter((property) => !this.#isBarred(property)).map(({ name }) => name);
    let named = node;
    let inner = innerOf(named);
    while (inner) {
      named = inner;
      inner = innerOf(named);
    }
    const at = ts.isExpressionWithTypeArguments(named)
      ? named.expression
      : ts.isTypeReferenceNode(named)
        ? named.typeName
        : named;
    const symbol = this.#checker.getSymbolAtLocation(at);
    const resolved = symbol && this.#resolve(symbol);
    return { name: resolved && this.#names.get(resolved), members, declarations: resolved?.declarations ?? [] };
  }
}

/** The type that `Omit` or `Pick` takes from. */
function innerOf(node: ts.TypeNode): ts.TypeNode | undefined {
  const isCut = ts.isExpressionWithTypeArguments(node) && /^(Omit|Pick)$/.test(node.expression.getText());
  return isCut ? node.typeArguments?.[0] : undefined;
}

/** Not the platform's. */
function isOurs(node: ts.Node): boolean {
  return node.getSourceFile().fileName.startsWith(resolve(root, 'src'));
}

function declared(node: ts.Node): string {
  return node.getText().replace(/^export (declare )?/, '');
}

function kindOf(name: string, isValue: boolean): Kind {
  if (name.endsWith('Error') && isValue) return 'error';
  if (isValue) return 'value';
  return /Options$|^BatchSize$/.test(name) ? 'options' : 'type';
}

function nameOf(member: ts.Node): string {
  return 'name' in member && member.name ? (member.name as ts.Node).getText() : '';
}

function isPublic(member: ts.ClassElement): boolean {
  if (ts.isConstructorDeclaration(member) || !member.name || ts.isPrivateIdentifier(member.name)) return false;
  const flags = ts.getCombinedModifierFlags(member);
  return (flags & (ts.ModifierFlags.Private | ts.ModifierFlags.Protected)) === 0;
}
