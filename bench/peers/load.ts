/**
 * Loads a package that is installed in this directory. The name is not known to
 * the compiler, because the peers need not be installed; the caller says what
 * it uses of the module.
 */
export const load = async <Module>(name: string): Promise<Module> => await import(name)
