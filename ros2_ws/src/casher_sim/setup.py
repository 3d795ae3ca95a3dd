from setuptools import setup

setup(
    name="casher_sim",
    version="0.1.0",
    packages=["casher_sim"],
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/casher_sim"]),
        ("share/casher_sim", ["package.xml"]),
    ],
    install_requires=["setuptools"],
    zip_safe=False,
    maintainer="The CASHER maintainers",
    maintainer_email="maintainers@casher.example.org",
    description="Simulated kitchens that stand in for cameras and arm under the same names.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "sim_node = casher_sim.sim_node:main",
        ],
    },
)
